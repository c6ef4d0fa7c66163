/*
 * A disk that is full, or has no fallocate(): preloaded into a server by a test. Files in the
 * directory that DISK_FAULTS names say what is wrong with it:
 *
 *   full           no file of a relation grows any more; each byte of this file allows one growth
 *   partly         fallocate() takes an odd half of the space before it finds the disk full
 *   no_fallocate   fallocate() is not supported
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *fault_file(const char *name, char *path, size_t size)
{
	const char *directory = getenv("DISK_FAULTS");

	snprintf(path, size, "%s/%s", directory ? directory : "/nonexistent", name);
	return path;
}

static int faulty(const char *name)
{
	char path[4096];

	return access(fault_file(name, path, sizeof(path)), F_OK) == 0;
}

/* Is the disk full for a file of a relation that would end at `end`? *size is what it has. */
static int full(int fd, off_t end, off_t *size)
{
	char link[64], target[4096], path[4096];
	struct stat file, left;
	ssize_t length;

	if (stat(fault_file("full", path, sizeof(path)), &left) != 0)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0 || fstat(fd, &file) != 0)
		return 0;
	target[length] = '\0';
	if (strstr(target, "/base/") == NULL || strstr(target, "/pgsql_tmp") != NULL || end <= file.st_size)
		return 0;
	*size = file.st_size;
	return left.st_size == 0 || truncate(path, left.st_size - 1) != 0;
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	off_t size;

	if (faulty("no_fallocate")) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (full(fd, offset + length, &size)) {
		off_t half = (offset + length - size) / 2 | 1;

		if (faulty("partly") && syscall(SYS_fallocate, fd, mode, size, half) != 0)
			return -1;
		errno = ENOSPC;
		return -1;
	}
	return (int) syscall(SYS_fallocate, fd, mode, offset, length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	off_t size;

	if (full(fd, offset + (off_t) length, &size)) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, bytes, length, offset);
}
