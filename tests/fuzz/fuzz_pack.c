/* pack_next and pack_get over arbitrary bytes: as a pack, and as what is in its frame. */
#include "config.h"

#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "common/fs.h"
#include "store/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_pack(const void *p, size_t n)
{
	struct pack_reader *r = NULL;
	struct buf b = BUF_INIT;
	struct pack_item item;
	uint64_t items = 0;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || fs_write_all(fd, p, n) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	if (pack_reader_new(fd, &r) == 0)
		while (pack_next(r, &item) > 0) {
			if (item.size > PACK_BLOB_MAX || items++ > (1u << 20))
				abort();
			buf_done(&b);
			/* each second one is passed over */
			if (item.kind == STORE_ENTRY && items % 2 == 0 && pack_get(r, &b) == 0 &&
				b.n != item.size)
				abort();
		}
	pack_reader_freep(&r);
	buf_done(&b);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b = BUF_INIT;
	size_t k;

	if (size > (1u << 16))
		return 0;
	read_pack(data, size);
	if (buf_adds(&b, "draypck1") < 0 || buf_reserve(&b, ZSTD_compressBound(size)) < 0)
		abort();
	k = ZSTD_compress(b.p + b.n, ZSTD_compressBound(size), data, size, 1);
	if (ZSTD_isError(k))
		abort();
	read_pack(b.p, b.n + k);
	buf_done(&b);
	return 0;
}
