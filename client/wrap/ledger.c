/* The memory that dray and dray-dispatch share.
 *
 * Invariant: after ledger_take nothing in the copy can mislead dray: dray-dispatch may have died at
 * any instant, in the middle of writing a field too. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "client/wrap/ledger.h"
#include "common/fs.h"
#include "common/outdir/left.h"

static int
map(int fd, struct ledger **ret)
{
	void *p = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

int
ledger_make(struct ledger **ret, int *ret_fd)
{
	_cleanup_(closep) int fd = -1;
	int r;

	fd = memfd_create("dray-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(struct ledger)) < 0)
		return -errno;
	/* a shrunk file would turn our reads into SIGBUS */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	r = map(fd, ret);
	if (r < 0)
		return r;
	(*ret)->magic = LEDGER_MAGIC;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
ledger_map(int fd, struct ledger **ret)
{
	_cleanup_(ledger_unmapp) struct ledger *p = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size != (off_t)sizeof(struct ledger))
		return -EBADMSG;
	r = map(fd, &p);
	if (r < 0)
		return r;
	if (p->magic != LEDGER_MAGIC)
		return -EBADMSG;
	*ret = steal_ptr(p);
	return 0;
}

void
ledger_unmap(struct ledger *r)
{
	if (r)
		munmap(r, sizeof(*r));
}

void
ledger_unmapp(struct ledger **r)
{
	ledger_unmap(*r);
	*r = NULL;
}

int
ledger_make_staging(struct ledger *r, const char *out_dir, pid_t owner)
{
	_cleanup_(freep) char *path = NULL;
	int err = left_make_dir(out_dir, owner, &path);

	/* it fits: the kernel makes none whose path is longer */
	if (err == 0)
		snprintf(r->staging, sizeof(r->staging), "%s", path);
	return err;
}

static void
go_home(struct ledger *r, const char *why)
{
	r->outcome = LEDGER_HOME;
	snprintf(r->why, sizeof(r->why), "%s", why);
}

void
ledger_take(const struct ledger *shared, struct ledger *ret)
{
	*ret = *shared;
	ret->why[sizeof(ret->why) - 1] = '\0';
	ret->worker[sizeof(ret->worker) - 1] = '\0';
	ret->worker_key[sizeof(ret->worker_key) - 1] = '\0';
	ret->coordinator[sizeof(ret->coordinator) - 1] = '\0';
	ret->staging[sizeof(ret->staging) - 1] = '\0';
	ret->rmeta[sizeof(ret->rmeta) - 1] = '\0';
	ret->rmeta_worker[sizeof(ret->rmeta_worker) - 1] = '\0';
	ret->queue_why[sizeof(ret->queue_why) - 1] = '\0';
	ret->rmeta_key[sizeof(ret->rmeta_key) - 1] = '\0';
	ret->rmeta_stored = 0;
	ret->n_attempts = MIN2(ret->n_attempts, (uint32_t)LEDGER_ATTEMPTS);
	for (unsigned i = 0; i < LEDGER_ATTEMPTS; i++)
		ret->attempt[i][sizeof(ret->attempt[i]) - 1] = '\0';
	/* a half-written path is worse than none: nothing may be removed or replaced by it */
	if (*ret->staging && (!path_is_normal(ret->staging) || streq(ret->staging, "/")))
		ret->staging[0] = '\0';
	if (*ret->rmeta && !path_is_normal(ret->rmeta))
		ret->rmeta[0] = '\0';

	if (ret->magic != LEDGER_MAGIC)
		go_home(ret, "dray-dispatch left no ledger");
	else if (ret->outcome == LEDGER_RUNNING)
		go_home(ret, "dray-dispatch died");
	else if (ret->outcome > LEDGER_HOME)
		go_home(ret, "dray-dispatch left a bad ledger");
	else if (ret->outcome == LEDGER_DONE && (ret->status < 0 || ret->status > 255))
		go_home(ret, "dray-dispatch left a bad status");
	else if (ret->outcome == LEDGER_LINK && (!*ret->staging || ret->n_links > 16))
		go_home(ret, "dray-dispatch left a bad link");
	if (ret->outcome == LEDGER_HOME && !*ret->why)
		go_home(ret, "dray-dispatch gave no reason");
}

bool
ledger_is_late(const char *name)
{
	return ends_with(name, ".rlib") || ends_with(name, ".a") || ends_with(name, ".so") ||
	       ends_with(name, ".dwp");
}

void
ledger_fill(const struct ledger *r, struct joblog_entry *e)
{
	e->worker = *r->worker ? r->worker : NULL;
	e->coordinator = *r->worker && *r->coordinator ? r->coordinator : NULL;
	e->half = r->half;
	e->rmeta_us = r->rmeta_us;
	e->pack_us = r->pack_us;
	e->queue_us = r->queue_us;
	e->queue_why = *r->queue_why ? r->queue_why : NULL;
	e->upload_us = r->upload_us;
	e->compile_us = r->compile_us;
	e->download_us = r->download_us;
	e->bytes_sent = r->bytes_sent;
	e->bytes_received = r->bytes_received;
	e->trace = r->traced ? &r->trace : NULL;
}
