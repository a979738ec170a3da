/* A toolchain that a client gives, as its packed unit: any bytes. What passes names files inside of
 * one directory, each once, of no more bytes than were promised, each of which has a blob. */
#include "config.h"

#include "common/digest.h"
#include "common/fs.h"
#include "proto/wire.h"
#include "worker/push/manifest.h"

#define MOST (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(const Dray__Unit *u)
{
	const Dray__PushedToolchain *t = u->push;
	uint64_t bytes, sum = 0;

	if (manifest_fault(u, MOST, &bytes)) {
		if (bytes != 0)
			abort();
		return;
	}
	for (size_t i = 0; i < t->n_file; i++) {
		_cleanup_(freep) char *full = path_join("/top", t->file[i]->path);

		if (!full || !path_is_normal(full) || !path_is_below(full, "/top") ||
			strlen(full) != strlen("/top/") + strlen(t->file[i]->path) ||
			t->file[i]->blob >= u->n_blobs ||
			(i > 0 && strcmp(t->file[i - 1]->path, t->file[i]->path) >= 0))
			abort();
		sum += u->blobs[t->file[i]->blob]->size;
		for (size_t k = 0; k < t->n_file; k++)
			if (k != i && starts_with(t->file[k]->path, t->file[i]->path) &&
				t->file[k]->path[strlen(t->file[i]->path)] == '/')
				abort();
	}
	if (sum != bytes || sum > MOST || u->toolchain.len != DIGEST_SIZE || u->n_argv ||
		u->n_files)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	ProtobufCMessage *m = NULL;

	if (wire_unpack(&dray__unit__descriptor, p, n, WIRE_UNIT_MAX, &m) < 0)
		return 0;
	if (((const Dray__Unit *)m)->push)
		check((const Dray__Unit *)m);
	protobuf_c_message_free_unpacked(m, NULL);
	return 0;
}
