/* Invariant: it only does earlier what the first units do themselves: whatever becomes of it, they
 * miss nothing. */
#include "config.h"

#include "client/wrap/fresh.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/far/ask.h"
#include "client/incremental/background.h"
#include "client/wrap/build_name.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "toolchain/toolchain.h"

#define LIFE_S 60

bool
fresh_is_first(const struct rustc_call *call)
{
	return call->kind == CALL_PROBE && call->args.n == 1 && streq(call->args.v[0], "-vV");
}

bool
fresh_is_machine(const struct conf *conf)
{
	_cleanup_(freep) char *entries = NULL;

	if (conf->client.recache || !far_may_read(conf) || !conf->client.store_dir)
		return false;
	entries = path_join(conf->client.store_dir, "entries");
	return entries && !fs_exists(entries);
}

static void
ask_for_list(const struct conf *conf, const struct digest *list)
{
	_cleanup_(far_ask_closep) struct far_ask *far = NULL;

	if (far_ask_open(conf, &far) == 0)
		far_ask_build(far, list);
}

/* Where rustup, if it stands in for the compiler, will most probably say that the sysroot is. */
static char *
guess_sysroot(const char *compiler)
{
	const char *name = getenv("RUSTUP_TOOLCHAIN"), *home = getenv("RUSTUP_HOME");
	_cleanup_(freep) char *own = NULL, *exe = NULL;
	char *dir = NULL;

	if (!name || !path_is_name(name) || !streq(path_basename(compiler), "rustc"))
		return NULL;
	if (!home || !*home) {
		home = getenv("HOME");
		own = home ? path_join(home, ".rustup") : NULL;
		home = own;
	}
	if (!home || asprintf(&dir, "%s/toolchains/%s", home, name) < 0)
		return NULL;
	exe = path_join(dir, "bin/rustc");
	if (!exe || !fs_exists(exe)) {
		free(dir);
		return NULL;
	}
	return dir;
}

static void
identify_guess(const struct conf *conf, const char *compiler)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *sysroot = guess_sysroot(compiler);
	_cleanup_(memo_closep) struct memo *memo = NULL;

	if (sysroot && memo_open(conf->client.cache_dir, &memo) == 0)
		(void)toolchain_identify(memo, sysroot, "rustc", NULL, &t);
}

/* As it is asked for by units without a target of their own. */
static void
identify(const struct conf *conf, const char *compiler)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *sysroot = NULL, *exe = NULL;
	_cleanup_(memo_closep) struct memo *memo = NULL;

	if (memo_open(conf->client.cache_dir, &memo) < 0 ||
		toolchain_find_sysroot(memo, compiler, &sysroot, &exe) < 0)
		return;
	(void)memo_flush(memo);
	(void)toolchain_identify(memo, sysroot, path_basename(exe), NULL, &t);
}

void
fresh_begin(const struct conf *conf, const struct rustc_call *call)
{
	struct digest list;
	pid_t pid;

	if (!fresh_is_first(call) || !fresh_is_machine(conf) || build_name(NULL, &list) < 0)
		return;
	pid = fork();
	if (pid > 0)
		(void)spawn_wait(pid, NULL);
	if (pid != 0)
		return;
	/* a second fork, so that nobody need wait for it */
	if (fork() == 0 && background_withdraw()) {
		(void)alarm(LIFE_S);
		/* while rustup and the compiler start to tell where that is, which takes a tenth of
		 * a second */
		if (fork() == 0) {
			(void)alarm(LIFE_S);
			identify_guess(conf, call->driver);
			_exit(0);
		}
		ask_for_list(conf, &list);
		identify(conf, call->driver);
	}
	_exit(0);
}
