/* The least that a scrape can cost: reading the files, and nothing else. No byte is looked at.
 *
 *     floor ROUNDS PAUSE_MS < LIST
 *
 * Each line of LIST is "keep PATH", a file that is opened once and read from its beginning in every round, or
 * "open DIRECTORY NAME", a file that is opened anew in every round, below a directory that is opened once.
 * Prints a line for each round: CPU time (user and system) and time passed, in nanoseconds.
 *
 * It reads as watchd does: a pread that gave little was the whole file, after more it goes on until there is none.
 */

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SURELY_WHOLE 3072
#define LONGEST_LINE 8192

struct file {
	int descriptor; /* of the file, or of the directory that it is opened below */
	char *name;     /* NULL: the file is kept */
};

static char content[32 * 1024];

static long long now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void read_whole(int descriptor)
{
	ssize_t length = pread(descriptor, content, sizeof content, 0);
	off_t offset = length;

	if (length <= SURELY_WHOLE)
		return;
	while ((length = pread(descriptor, content, sizeof content, offset)) > 0)
		offset += length;
}

static void read_file(const struct file *file)
{
	int descriptor;

	if (file->name == NULL) {
		read_whole(file->descriptor);
		return;
	}
	descriptor = openat(file->descriptor, file->name, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		err(1, "%s", file->name);
	read_whole(descriptor);
	close(descriptor);
}

static struct file opened(char *line)
{
	struct file file = { .name = NULL };
	char *path = strchr(line, ' ');

	if (path == NULL)
		errx(2, "not a line of the list: %s", line);
	*path++ = '\0';
	if (strcmp(line, "open") == 0) {
		char *name = strrchr(path, ' ');

		if (name == NULL)
			errx(2, "no name of a file: %s", path);
		*name++ = '\0';
		file.name = strdup(name);
	}
	file.descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (file.descriptor < 0)
		err(1, "%s", path);
	return file;
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	struct timespec pause;
	struct file *files = NULL;
	size_t count = 0;
	static char line[LONGEST_LINE];

	if (argc != 3)
		errx(2, "usage: floor ROUNDS PAUSE_MS < LIST");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		files = realloc(files, (count + 1) * sizeof *files);
		if (files == NULL)
			err(1, "realloc");
		files[count++] = opened(line);
	}
	pause.tv_sec = atol(argv[2]) / 1000;
	pause.tv_nsec = atol(argv[2]) % 1000 * 1000000;
	for (long round = atol(argv[1]); round > 0; round--) {
		long long cpu = now(CLOCK_PROCESS_CPUTIME_ID), passed = now(CLOCK_MONOTONIC);

		for (size_t index = 0; index < count; index++)
			read_file(&files[index]);
		cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		passed = now(CLOCK_MONOTONIC) - passed;
		printf("%lld %lld\n", cpu, passed);
		nanosleep(&pause, NULL);
	}
	return 0;
}
