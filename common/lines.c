#include "config.h"

#include "common/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/fs.h"

off_t
lines_append(const char *file, const void *line, size_t n)
{
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	_cleanup_(closep) int fd = open(file, flags, 0600);
	struct stat st;

	if (fd < 0 && errno == ENOENT && fs_mkdir_parent(file, 0700) == 0)
		fd = open(file, flags, 0600);
	if (fd < 0 || write(fd, line, n) < 0 || fstat(fd, &st) < 0)
		return -errno;
	return st.st_size;
}

bool
lines_split(char *line, char **ret, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *end = strchr(line, '\t');

		ret[i] = line;
		if (i + 1 == n)
			break;
		if (!end)
			return false;
		*end = '\0';
		line = end + 1;
	}
	return true;
}

void
lines_plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ')
			*text = ' ';
}
