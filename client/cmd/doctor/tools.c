/* The programs that builds use: the compiler, the linker, bubblewrap. */
#include "config.h"

#include "client/cmd/doctor/doctor.h"

#include <errno.h>
#include <stdio.h>

#include "client/cmd/userns.h"
#include "client/incremental/background.h"
#include "client/incremental/prime.h"
#include "client/link/linker.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "machine/new_proc.h"
#include "machine/subids.h"
#include "toolchain/toolchain.h"
#include "client/give/gift.h"
#include "common/text/show.h"

#ifndef BWRAP_PATH
#define BWRAP_PATH "/usr/bin/bwrap"
#endif

/* Why bubblewrap may fail. */
static const char *
why_not(void)
{
	const char *ban = userns_ban("");

	return ban ? ban : "user namespaces are off?";
}

void
doctor_check_priming(struct doctor *d)
{
	static const char lost[] = "so the first edit after a hit compiles its crate whole";
	_cleanup_(freep) char *bwrap = fs_which("bwrap", getenv("PATH"));
	const char *ci = getenv("CI");

	if (d->conf->client.cache == CACHE_OFF || d->conf->client.disable ||
		d->conf->client.incremental != INCREMENTAL_AUTO)
		return;
	if (!d->conf->client.prime)
		doctor_say(d, NOTE, "priming",
			"prime is no: incremental states are not made ready, %s", lost);
	else if (!bwrap)
		doctor_say(
			d, NOTE, "priming", "bwrap is not in PATH, %s: install bubblewrap", lost);
	else if (!prime_binds_with(bwrap))
		doctor_say(d, NOTE, "priming", "%s does not work here (%s), %s", bwrap, why_not(),
			lost);
	else if (is_set(ci) && !streq(ci, "false"))
		doctor_say(d, NOTE, "priming", "CI is set: incremental states are not made ready");
	else if (background_on_battery(""))
		doctor_say(d, NOTE, "priming", "not while this machine is on battery");
	else
		doctor_say(d, GOOD, "priming",
			"incremental states can be made ready in the background");
}

/* What has become of it where the farm has asked for it. */
static void
check_gift(struct doctor *d, const char *id)
{
	char done[SHOW_SIZE], of[SHOW_SIZE];
	struct gift g;

	if (gift_read(d->conf->client.cache_dir, id, &g) < 0)
		return;
	show_bytes(g.done, done);
	show_bytes(g.of, of);
	d->giving = g.state == GIFT_GIVING && gift_is_going(d->conf->client.cache_dir);
	if (d->giving)
		doctor_say(d, NOTE, "toolchain", "it is being given to the farm: %s of %s to %s",
			done, of, g.worker);
	else if (g.state == GIFT_FAILED)
		doctor_say(d, NOTE, "toolchain",
			"it could not be given to the farm: %s (dray toolchain status, dray "
			"toolchain push)",
			g.why);
}

void
doctor_check_toolchain(struct doctor *d)
{
	_cleanup_(toolchain_done) struct toolchain t;
	_cleanup_(freep) char *sysroot = NULL;
	_cleanup_(freep) char *exe = NULL;
	char hex[DIGEST_HEX_SIZE];
	int r;

	memset(&t, 0, sizeof(t));
	r = toolchain_find_sysroot(d->memo, d->compiler, &sysroot, &exe);
	if (r == 0)
		r = toolchain_identify(d->memo, sysroot, "rustc", NULL, &t);
	if (r < 0) {
		doctor_say(d, BAD, "toolchain",
			"%s: %s; set RUSTC or install Rust (https://rustup.rs)", d->compiler,
			r == -ENOENT ? "no compiler that dray knows" : strerror(-r));
		return;
	}
	digest_hex(&t.id, hex);
	doctor_say(d, GOOD, "toolchain", "rustc %s %s, id %.12s, %s", t.release, t.host, hex,
		t.sysroot);
	check_gift(d, hex);
}

void
doctor_check_linker(struct doctor *d)
{
	const char *path = getenv("PATH"), *cache = d->conf->client.cache_dir;
	_cleanup_(freep) char *cc = fs_which("cc", path ? path : "");
	int choice = d->conf->client.linker;
	bool mold, lld;

	if (!cc) {
		doctor_say(d, BAD, "linker",
			"there is no C compiler to link with (cc): install gcc or clang");
		return;
	}
	if (choice == LINKER_RUSTC) {
		doctor_say(d, GOOD, "linker", "what rustc uses, through %s", cc);
		return;
	}
	mold = choice != LINKER_LLD && linker_usable(cache, cc, "mold", path ? path : "");
	lld = choice != LINKER_MOLD && linker_usable(cache, cc, "lld", path ? path : "");
	if (mold || lld)
		doctor_say(d, GOOD, "linker", "%s, through %s", mold ? "mold" : "lld", cc);
	else if (choice == LINKER_AUTO)
		doctor_say(d, NOTE, "linker",
			"what rustc uses, through %s; mold would be faster (gcc takes it "
			"from version 12.1 on)",
			cc);
	else
		doctor_say(d, BAD, "linker", "%s cannot use %s: install it, or set linker = auto",
			cc, choice == LINKER_MOLD ? "mold" : "lld");
}

/* 0; 1: it does not work; or -errno. */
static int
try_sandbox(bool with_proc)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	char bwrap[] = BWRAP_PATH, all[] = "--unshare-all", cap[] = "--cap-drop", cap_all[] = "ALL";
	char bind[] = "--ro-bind", root[] = "/", root2[] = "/", program[] = "/bin/true";
	char user[] = "--unshare-user", proc[] = "--proc", at[] = "/proc";
	char *argv[] = { bwrap, all, user, cap, cap_all, bind, root, root2,
		with_proc ? proc : program, with_proc ? at : NULL, program, NULL };
	int status = 0, r = spawn_capture(argv, NULL, SPAWN_ASK_MS, 4096, &out, &status);

	return r < 0 ? r : status != 0;
}

/* A client runs no sandbox, but `dray up` does. */
void
doctor_check_sandbox(struct doctor *d)
{
	static const char whom[] = "only a worker on this machine (`dray up`) needs it";
	int r = try_sandbox(true);

	if (r < 0)
		doctor_say(d, NOTE, "sandbox", "%s: %s; %s: install bubblewrap", BWRAP_PATH,
			strerror(-r), whom);
	else if (r == 0)
		doctor_say(d, GOOD, "sandbox", "%s works", BWRAP_PATH);
	else if (try_sandbox(false) == 0)
		doctor_say(d, NOTE, "sandbox", "%s; %s", NEW_PROC_HELP, whom);
	else
		doctor_say(d, NOTE, "sandbox", "%s does not work here (%s); %s", BWRAP_PATH,
			why_not(), whom);
}

void
doctor_check_job_users(struct doctor *d)
{
	_cleanup_(freep) char *why = NULL;

	if (subids_possible(&why) < 0)
		doctor_say(d, NOTE, "job users",
			"none: what gets out of a job would be the worker's: %s", why);
}
