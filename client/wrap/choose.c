/* Decides where a unit is compiled. The order of the questions is the order of their cost; each
 * answer "here" has its reason for the job log. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cache/variables.h"
#include "client/wrap/choose.h"
#include "client/wrap/farm_state.h"
#include "common/clock.h"
#include "common/fs.h"
#include "discovery/find.h"
#include "toolchain/toolchain.h"

#define WALK_ENTRIES 512
#define WALK_DEPTH 6
#define ROOT_MAX (4u << 20)

struct walk {
	uint64_t bytes;
	uint64_t limit;
	unsigned entries;
};

static bool
walk_full(const struct walk *w)
{
	return w->bytes > w->limit || w->entries > WALK_ENTRIES;
}

static void walk_entry(struct walk *w, int dir_fd, const char *name, unsigned depth);

static void
walk_dir(struct walk *w, int parent, const char *name, unsigned depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	const struct dirent *e;
	DIR *d;

	if (fd < 0)
		return;
	d = fdopendir(fd);
	if (!d) {
		closep(&fd);
		return;
	}
	while (!walk_full(w) && (e = readdir(d)))
		if (e->d_name[0] != '.')
			walk_entry(w, dirfd(d), e->d_name, depth);
	closedir(d);
}

static void
walk_entry(struct walk *w, int dir_fd, const char *name, unsigned depth)
{
	struct stat st;

	w->entries++;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISREG(st.st_mode) && ends_with(name, ".rs"))
		w->bytes += (uint64_t)st.st_size;
	else if (S_ISDIR(st.st_mode) && depth < WALK_DEPTH)
		walk_dir(w, dir_fd, name, depth + 1);
	else if (S_ISDIR(st.st_mode))
		w->entries = WALK_ENTRIES + 1; /* deeper than anything small */
}

uint64_t
choose_source_bytes(const struct rustc_call *call, uint64_t limit)
{
	struct walk w = { 0, limit, 0 };
	_cleanup_(freep) char *dir = NULL;
	struct stat st;

	/* a build script lies beside src/, which is not its own */
	if (streq(call_kind_name(call), "build-script"))
		return stat(call->source, &st) == 0 ? (uint64_t)st.st_size : limit + 1;
	dir = strchr(call->source, '/') ? path_dirname(call->source) : strdup(".");
	if (!dir)
		return limit + 1;
	walk_dir(&w, AT_FDCWD, dir, 0);
	return w.entries > WALK_ENTRIES ? MAX2(w.bytes, limit + 1) : w.bytes;
}

static bool
root_mentions(const struct rustc_call *call, const char *word)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	return fs_read_file(call->source, ROOT_MAX, &b) == 0 && b.n &&
	       memmem(b.p, b.n, word, strlen(word));
}

const char *
choose_reason_for_here(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *launcher = NULL;
	const char *why;

	if (conf->client.offload == OFFLOAD_NEVER)
		return "offload = never";
	if (!conf->client.coordinator || !*conf->client.coordinator)
		return conf->client.discovers ? "no coordinator found"
					      : "no coordinator configured";
	why = call_home_reason(call);
	if (why)
		return why;
	launcher = toolchain_launcher(call->driver);
	if (launcher)
		return "the compiler is started by another program";
	/* what is loaded into each program here is not on a worker */
	if (!variables_preload_is_harmless(getenv("LD_PRELOAD")) ||
		!variables_preload_is_harmless(getenv("LD_AUDIT")))
		return "LD_PRELOAD or LD_AUDIT";
	/* colours and width are the terminal's, and a worker has none */
	if (!call->json && isatty(STDERR_FILENO))
		return "diagnostics for a terminal";
	if (!call->test && call->crate_types.n == 0 && root_mentions(call, "crate_type"))
		return "the crate names its type itself";
	return NULL;
}

void
choose(const struct conf *conf, const struct rustc_call *call, struct slots *slots,
	struct choice *ret)
{
	uint64_t small = conf->client.small_unit;
	char reason[LOCAL_ONLY_REASON_MAX];

	*ret = (struct choice)CHOICE_INIT;
	ret->why = choose_reason_for_here(conf, call);
	if (ret->why)
		return;
	if (local_only_find(
		    conf->client.cache_dir, call->crate_name, clock_wall_ms() / 1000, reason)) {
		snprintf(ret->text, sizeof(ret->text), "local-only: %s", reason);
		ret->why = ret->text;
		return;
	}
	if (conf->client.offload == OFFLOAD_AUTO && slots &&
		choose_source_bytes(call, small) <= small) {
		ret->slot = slots_try(slots);
		if (ret->slot >= 0) {
			ret->why = "small, and a local slot was free";
			return;
		}
		ret->slot = -1;
	}
	if (farm_state_begin(conf->client.cache_dir, conf->client.coordinator, conf->client.retry_s,
		    conf->client.connect_ms, &ret->probe) == FARM_DOWN) {
		ret->why = "farm unreachable";
		/* it may be elsewhere by now */
		if (conf->client.discovers &&
			find_again(conf->client.cache_dir, FIND_LACK_MS, NULL))
			farm_state_expire(conf->client.cache_dir);
		return;
	}
	ret->place = PLACE_FARM;
	ret->why = conf->client.offload == OFFLOAD_ALWAYS ? "offload = always" : NULL;
}

void
choice_done(struct choice *c)
{
	closep(&c->slot);
	closep(&c->probe);
}
