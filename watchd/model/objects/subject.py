"""Any object that a policy can select."""

from watchd.model.objects.build_cache import CacheRecord
from watchd.model.objects.container import Container
from watchd.model.objects.image import Image
from watchd.model.objects.network import Network
from watchd.model.objects.volume import Volume

Subject = Container | Image | Network | Volume | CacheRecord
