/* notice_read of any file: what it gives is bounded, and UTF-8; a JSON string can be made of it. */
#include "config.h"

#include <jansson.h>
#include <sys/mman.h>

#include "client/slots/notices.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(const char *text, size_t size)
{
	json_t *j;

	if (!memchr(text, '\0', size))
		abort();
	j = json_string(text);
	if (!j)
		abort();
	json_decref(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int fd = -1;
	struct notice got;
	int r;

	if (fd < 0)
		fd = memfd_create("notice", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, p, n, 0) != (ssize_t)n)
		abort();
	r = notice_read(fd, 0, &got);
	check(got.kind, sizeof(got.kind));
	check(got.what, sizeof(got.what));
	check(got.dir, sizeof(got.dir));
	if (r == 0 && (got.process.pid <= 0 || got.state < 0 || got.state >= NOTICE_STATES))
		abort();
	return 0;
}
