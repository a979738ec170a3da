/* A toolchain as a unit: its manifest, and the files that fill its blobs (proto/job.proto,
 * PushedToolchain). */
#include "config.h"

#include <errno.h>
#include <sys/stat.h>

#include "client/dispatch/unit_priv.h"
#include "common/fs.h"

/* Its blob's index: one that another file has filled, or a new one. They are some hundred. */
static uint32_t
blob_of(struct unit *u, const struct digest *d, uint64_t size)
{
	uint32_t i;

	for (i = 0; i < u->msg.n_blobs; i++)
		if (digest_eq(&u->digests[i], d))
			return i;
	u->digests[i] = *d;
	dray__blob__init(&u->blobs[i]);
	u->blobs[i].digest = (ProtobufCBinaryData){ DIGEST_SIZE, u->digests[i].b };
	u->blobs[i].size = size;
	u->blobs_p[i] = &u->blobs[i];
	u->msg.n_blobs++;
	return i;
}

static int
add_file(struct unit *u, struct memo *memo, size_t i)
{
	_cleanup_(freep) char *path = path_join(u->tc.sysroot, u->names.v[i]);
	struct unit_push *p = u->push;
	size_t before = u->msg.n_blobs;
	struct digest d;
	struct stat st;
	int r = path ? memo_digest_file(memo, path, &d, &st) : -ENOMEM;

	if (r < 0)
		return r;
	dray__pushed_file__init(&p->files[i]);
	p->files[i].path = u->names.v[i];
	p->files[i].blob = blob_of(u, &d, (uint64_t)st.st_size);
	p->files_p[i] = &p->files[i];
	u->source_bytes += (uint64_t)st.st_size;
	return u->msg.n_blobs > before ? strv_add(&u->blob_paths, path) : 0;
}

static int
fill(struct unit *u, struct memo *memo)
{
	struct unit_push *p = u->push;
	int r = toolchain_list_own_files(&u->tc, u->tc.target, &u->names);
	size_t n;

	if (r < 0)
		return r;
	strv_sort_unique(&u->names);
	n = u->names.n;
	p->files = calloc(n + 1, sizeof(*p->files));
	p->files_p = calloc(n + 1, sizeof(*p->files_p));
	u->digests = calloc(n + 1, sizeof(*u->digests));
	u->blobs = calloc(n + 1, sizeof(*u->blobs));
	u->blobs_p = calloc(n + 1, sizeof(*u->blobs_p));
	if (!p->files || !p->files_p || !u->digests || !u->blobs || !u->blobs_p)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_file(u, memo, i);
	if (r == 0)
		r = toolchain_version(&u->tc, &p->version);
	return r;
}

int
unit_fill_push(struct unit *u, struct toolchain *t, struct memo *memo)
{
	struct unit_push *p;
	int r;

	u->push = p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	dray__pushed_toolchain__init(&p->msg);
	u->tc = *t;
	memset(t, 0, sizeof(*t));
	r = fill(u, memo);
	if (r < 0)
		return r;
	p->msg.driver = u->tc.driver;
	p->msg.host = u->tc.host;
	p->msg.target = u->tc.target;
	p->msg.version = (ProtobufCBinaryData){ p->version.n, p->version.p };
	p->msg.file = p->files_p;
	p->msg.n_file = u->names.n;
	u->msg.push = &p->msg;
	u->msg.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, u->tc.id.b };
	u->msg.blobs = u->blobs_p;
	return 0;
}
