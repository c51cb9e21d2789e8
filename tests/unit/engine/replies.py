"""Replies of Docker 28.5.2 with all fields that a decision rests on, for tests to change."""

from typing import Any

ID = "a" * 64
IMAGE_ID = f"sha256:{'b' * 64}"

LISTED_CONTAINER: dict[str, Any] = {
    "Id": ID,
    "Names": ["/web"],
    "Image": "nginx:1",
    "ImageID": IMAGE_ID,
    "Command": "nginx",
    "Created": 1795459442,
    "Labels": {"a": "b"},
    "State": "exited",
    "Status": "Exited (0) 2 hours ago",
    "Mounts": [],
    "NetworkSettings": {"Networks": {}},
}
LISTED_IMAGE: dict[str, Any] = {
    "Containers": -1,
    "Created": 1700000000,
    "Id": IMAGE_ID,
    "Labels": None,
    "ParentId": "",
    "RepoDigests": [],
    "RepoTags": ["app:2", "app:1"],
    "SharedSize": -1,
    "Size": 3000,
}
INSPECTED_IMAGE: dict[str, Any] = {
    "Id": IMAGE_ID,
    "RepoTags": ["app:1"],
    "RepoDigests": None,
    "Created": "",
    "Config": {"Labels": {"a": "b"}},
}
VOLUME: dict[str, Any] = {
    "CreatedAt": "2026-11-28T14:39:03Z",
    "Driver": "local",
    "Labels": None,
    "Mountpoint": "/var/lib/docker/volumes/data/_data",
    "Name": "data",
    "Options": None,
    "Scope": "local",
}
NETWORK: dict[str, Any] = {
    "Name": "app_default",
    "Id": ID,
    "Created": "2026-11-28T14:39:03.5Z",
    "Scope": "local",
    "Driver": "bridge",
    "ConfigOnly": False,
    "Labels": {},
}
SERVICE: dict[str, Any] = {
    "ID": "s1",
    "Spec": {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "nginx:1"}}},
}
CACHE_RECORD: dict[str, Any] = {
    "ID": "c1",
    "Type": "regular",
    "Description": "copy /context /",
    "InUse": False,
    "Shared": False,
    "Size": 8192,
    "CreatedAt": "2026-11-28T14:39:05.7Z",
    "LastUsedAt": None,
    "UsageCount": 3,
}
VERSION: dict[str, Any] = {"Version": "28.5.2", "ApiVersion": "1.51"}
INFO: dict[str, Any] = {
    "Driver": "overlay2",
    "DriverStatus": [],
    "DockerRootDir": "/var/lib/docker",
    "Swarm": {"LocalNodeState": "inactive", "ControlAvailable": False},
}
INSPECTED_CONTAINER: dict[str, Any] = {
    "Id": ID,
    "Name": "/web",
    "Created": "2026-11-20T10:00:00Z",
    "Image": IMAGE_ID,
    "State": {
        "Status": "exited",
        "Pid": 0,
        "ExitCode": 0,
        "StartedAt": "2026-11-20T10:00:00Z",
        "FinishedAt": "2026-11-20T11:00:00Z",
    },
    "Config": {"Image": "nginx:1", "Labels": {"a": "b"}},
    "HostConfig": {"RestartPolicy": {"Name": "no"}, "NetworkMode": "bridge"},
    "Mounts": [],
    "NetworkSettings": {"Networks": {}},
}
# As API 1.52 and later have it with `verbose`; what is 0 is left out.
DISK_USAGE: dict[str, Any] = {
    "ImageUsage": {"TotalCount": 1, "TotalSize": 3000, "Items": [LISTED_IMAGE]},
    "ContainerUsage": {"TotalCount": 1, "Items": [LISTED_CONTAINER]},
    "VolumeUsage": {"TotalCount": 1, "Items": [{**VOLUME, "UsageData": {"Size": 5, "RefCount": 0}}]},
    "BuildCacheUsage": {"TotalCount": 1, "TotalSize": 8192, "Items": [CACHE_RECORD]},
}
