/* Inputs and texts of a mapped unit: found where the workspace lies now, and tied to a place where
 * they depend on it. */
#include "config.h"

#include "tests/unit/inputs_fixture.h"

#include "cache/amid.h"
#include "cache/marks.h"
#include "cache/text.h"

static char workspace[PATH_MAX + 16], other[PATH_MAX + 16], target[PATH_MAX + 32];

static void
begin_workspace(void)
{
	snprintf(workspace, sizeof(workspace), "%s/ws", dir);
	snprintf(other, sizeof(other), "%s/deep/other", dir);
	assert_int_equal(mkdir(workspace, 0755), 0);
	assert_int_equal(fs_mkdir_p(other, 0755), 0);
	place.workspace = workspace;
	place.target_dir = out;
	place.real_target_dir = real_out;
}

static bool
holds_at(const char *where)
{
	_cleanup_(freep) char *differs = NULL;
	struct inputs_place p = place;

	p.workspace = where;
	return inputs_check(&got, &p, &differs) == 0;
}

static void
test_moves(void **state)
{
	(void)state;
	begin_workspace();
	put("ws/a.rs", "a");
	put("deep/other/a.rs", "a");
	item('f', in("ws/a.rs"));
	item('a', in("ws/absent"));
	take_all();
	assert_true(holds_at(workspace));
	assert_true(holds_at(other));
	put("deep/other/a.rs", "b");
	assert_false(holds_at(other));
	put("deep/other/a.rs", "a");
	assert_true(holds_at(other));
	put("deep/other/absent", "");
	assert_false(holds_at(other));
	assert_true(holds_at(workspace));
}

/* Of the toolchain's own place no file is read on a worker, and directories above it are looked at.
 */
static void
test_above_toolchain(void **state)
{
	char sysroot[PATH_MAX + 64];

	(void)state;
	begin_workspace();
	snprintf(sysroot, sizeof(sysroot), "%s/rustup/toolchains/stable", dir);
	assert_int_equal(fs_mkdir_p(sysroot, 0755), 0);
	place.sysroot = sysroot;
	item('f', in("rustup/toolchains"));
	take_all();
	place.sysroot = NULL;
	assert_true(holds_at(other));
}

static char home_dir[PATH_MAX + 16], toolchain[PATH_MAX + 64];

static void
begin_rustup(void)
{
	begin_workspace();
	snprintf(home_dir, sizeof(home_dir), "%s/u", dir);
	snprintf(toolchain, sizeof(toolchain), "%s/.rustup/toolchains/stable", home_dir);
	assert_int_equal(fs_mkdir_p(toolchain, 0755), 0);
	put("u/.rustup/settings.toml", "x");
	put("u/other", "x");
	place.toolchain = toolchain;
	item('f', in("u/.rustup/settings.toml"));
	item('n', in("u/.rustup/toolchains"));
}

/* Nor does the way to rustup's directory count, or to the home: they are found by variables. */
static void
test_rustups(void **state)
{
	(void)state;
	begin_rustup();
	take_all();
	assert_true(holds_at(other));
}

/* But what is in the home does, where the workspace is as well: "..". */
static void
test_list_of_home(void **state)
{
	(void)state;
	begin_workspace();
	place.home = dir;
	item('d', dir);
	take_all();
	assert_true(holds_at(workspace));
	assert_false(holds_at(other));
}

static void
test_rustups_in_home(void **state)
{
	(void)state;
	begin_rustup();
	place.home = home_dir;
	item('n', in("u"));
	take_all();
	assert_true(holds_at(other));
}

static void
test_beside_rustups(void **state)
{
	(void)state;
	begin_rustup();
	place.home = home_dir;
	item('f', in("u/other"));
	take_all();
	assert_false(holds_at(other));
}

/* Whether a directory above is a link was asked: not that of this name counts, but the way there.
 */
static void
test_links_above(void **state)
{
	char moved[PATH_MAX + 64], behind[PATH_MAX + 64];

	(void)state;
	begin_workspace();
	snprintf(moved, sizeof(moved), "%s/users/ws", dir);
	snprintf(behind, sizeof(behind), "%s/link/ws", dir);
	assert_int_equal(fs_mkdir_p(moved, 0755), 0);
	assert_int_equal(symlink("users", in("link")), 0);
	place.workspace = moved;
	item('n', in("users"));
	take_all();
	assert_true(holds_at(moved));
	assert_true(holds_at(other));
	assert_false(holds_at(behind));
}

/* By which kind of path it was reached is not known. */
static void
test_beside(void **state)
{
	char beside[PATH_MAX + 16];

	(void)state;
	begin_workspace();
	put("x", "x");
	item('f', in("x"));
	take_all();
	assert_true(holds_at(workspace));
	assert_false(holds_at(other));
	snprintf(beside, sizeof(beside), "%s/beside", dir);
	assert_true(holds_at(beside));
}

/* Says that the name is absent in each directory above the workspace, but for the first `without`.
 */
static void
search(const char *name, unsigned without)
{
	char at[PATH_MAX + 16], path[PATH_MAX + 64];
	unsigned n = 0;

	snprintf(at, sizeof(at), "%s", workspace);
	for (char *slash; (slash = strrchr(at, '/'));) {
		*slash = '\0';
		snprintf(path, sizeof(path), "%s/%s", at, name);
		if (n++ >= without)
			item('a', path);
	}
}

static unsigned
count(enum input_kind kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < got.n; i++)
		n += got.v[i].kind == kind;
	return n;
}

/* A search that found nothing on its way to the root is made again from another place. */
static void
test_search(void **state)
{
	(void)state;
	begin_workspace();
	search(".mark/none", 0);
	search(".mark", 0);
	take_all();
	assert_int_equal(count(INPUT_NOT_ABOVE), 2);
	assert_true(count(INPUT_ABSENT) > 0);
	assert_int_equal(count(INPUT_OUT_DIR), 0);
	assert_true(holds_at(workspace));
	assert_true(holds_at(other));
	assert_false(holds_at(NULL));
	put("deep/.mark", "");
	assert_true(holds_at(workspace));
	assert_false(holds_at(other));
	put(".mark", "");
	assert_false(holds_at(workspace));
}

/* A directory that it went through may be one that is asked from everywhere, such as the home. */
static void
test_search_elsewhere(void **state)
{
	(void)state;
	begin_workspace();
	search(".mark", 0);
	take_all();
	assert_true(holds_at("/elsewhere/ws"));
	put(".mark", "");
	assert_false(holds_at("/elsewhere/ws"));
}

/* One that ended before is tied to its directory, as any look beside the workspace is. */
static void
test_short_search(void **state)
{
	(void)state;
	begin_workspace();
	search(".mark", 1);
	take_all();
	assert_int_equal(count(INPUT_NOT_ABOVE), 0);
	assert_true(holds_at(workspace));
	assert_false(holds_at(other));
}

/* With the target directory in the workspace. */
static void
begin_alone(void)
{
	begin_workspace();
	snprintf(target, sizeof(target), "%s/target", workspace);
	place.target_dir = place.real_target_dir = target;
}

/* The tracer's word of a ".." that led up from the directory. */
static void
way(const char *up_from, const char *path)
{
	char text[2 * PATH_MAX + 32];

	snprintf(text, sizeof(text), "%zu %s%s", strlen(up_from), up_from, path);
	item('i', text);
}

/* A look at nothing by "..", from the workspace. */
static void
look_up(const char *path)
{
	item('a', path);
	way(workspace, path);
}

/* What was looked for in one directory above alone is looked for there again, by the way from the
 * workspace and by its whole path. */
static void
test_single_look(void **state)
{
	char behind[PATH_MAX + 16];

	(void)state;
	begin_alone();
	assert_int_equal(fs_mkdir_p(in("side/.mark"), 0755), 0);
	snprintf(behind, sizeof(behind), "%s/side/behind", dir);
	assert_int_equal(symlink("../deep/other", behind), 0);
	look_up(in(".mark/head"));
	take_all();
	assert_int_equal(count(INPUT_NOT_FROM), 1);
	assert_int_equal(count(INPUT_OUT_DIR), 0);
	assert_true(holds_at(workspace));
	assert_true(holds_at(other));
	assert_true(holds_at(behind));
	assert_true(holds_at("/ws"));
	assert_false(holds_at(NULL));
	put("side/.mark/head", "");
	assert_true(holds_at(other));
	assert_false(holds_at(behind));
	assert_int_equal(unlink(in("side/.mark/head")), 0);
	assert_int_equal(mkdir(in("deep/.mark"), 0755) | mkdir(in(".mark"), 0755), 0);
	assert_true(holds_at(other));
	put("deep/.mark/head", "");
	assert_true(holds_at(workspace));
	assert_false(holds_at(other));
	assert_false(holds_at(behind));
	put(".mark/head", "");
	assert_false(holds_at(workspace));
	assert_false(holds_at("/elsewhere/ws"));
}

static void
expect_tied(void)
{
	take_all();
	assert_int_equal(count(INPUT_NOT_FROM), 0);
	assert_int_equal(count(INPUT_OUT_DIR), 1);
	assert_true(holds_at(place.workspace));
	assert_false(holds_at(other));
}

/* By the names of the directories above, and by a way that other places move. */
static void
test_look_by_other_ways(void **state)
{
	char link[PATH_MAX + 32];

	(void)state;
	begin_alone();
	assert_int_equal(fs_mkdir_p(target, 0755), 0);
	item('a', in(".mark"));
	expect_tied();
	forget();
	item('a', in(".mark"));
	way(target, in(".mark"));
	expect_tied();
	forget();
	snprintf(link, sizeof(link), "%s/link", workspace);
	assert_int_equal(symlink("../deep", link), 0);
	item('a', in(".mark"));
	way(link, in(".mark"));
	expect_tied();
	forget();
	look_up(in(".mark"));
	way("", in(".mark"));
	expect_tied();
}

/* What is no file, and yet there. */
static void
test_single_look_at_odd_things(void **state)
{
	char odd[PATH_MAX + 16];

	(void)state;
	begin_alone();
	look_up(in(".mark/head"));
	take_all();
	assert_true(holds_at(other));
	put("deep/.mark", "");
	assert_false(holds_at(other));
	forget();
	assert_int_equal(unlink(in("deep/.mark")), 0);
	look_up(in(".mark"));
	take_all();
	assert_true(holds_at(other));
	snprintf(odd, sizeof(odd), "%s/deep/.mark", dir);
	assert_int_equal(symlink("nowhere", odd), 0);
	assert_false(holds_at(other));
	/* nor is it found from where there was such a thing */
	forget();
	put(".mark", "");
	look_up(in(".mark/head"));
	expect_tied();
}

static void
test_search_from_within(void **state)
{
	(void)state;
	begin_alone();
	item('a', in("ws/.mark/head"));
	look_up(in(".mark/head"));
	expect_tied();
}

static void
test_search_of_two(void **state)
{
	char above[PATH_MAX + 16];

	(void)state;
	begin_alone();
	snprintf(above, sizeof(above), "%s", dir);
	snprintf(strrchr(above, '/'), 16, "/.none-such");
	look_up(in(".none-such"));
	look_up(above);
	take_all();
	assert_int_equal(count(INPUT_NOT_FROM), 0);
	assert_false(holds_at(other));
}

/* It may have been reached from a place that moves by itself. */
static void
test_look_beside_home(void **state)
{
	char home[PATH_MAX + 16];

	(void)state;
	begin_alone();
	snprintf(home, sizeof(home), "%s/home", dir);
	place.cargo_home = home;
	look_up(in(".mark/head"));
	expect_tied();
}

static void
test_look_near_target(void **state)
{
	(void)state;
	begin_workspace();
	look_up(in(".mark/head"));
	expect_tied();
}

static void
test_look_from_link(void **state)
{
	char behind[PATH_MAX + 16];

	(void)state;
	begin_alone();
	snprintf(behind, sizeof(behind), "%s/behind", dir);
	assert_int_equal(symlink("ws", behind), 0);
	place.workspace = behind;
	look_up(in(".mark/head"));
	expect_tied();
}

/* The system is the same for all, and so are cargo's home and the directories above. */
static void
test_common(void **state)
{
	char home[PATH_MAX + 8];

	(void)state;
	begin_workspace();
	snprintf(home, sizeof(home), "%s/home", dir);
	assert_int_equal(mkdir(home, 0755), 0);
	put("home/x", "x");
	place.cargo_home = home;
	item('f', "/etc/passwd");
	item('a', "/rustc/59807616e1fa/library/core/src/panic.rs");
	item('f', in("home/x"));
	item('f', dir);
	take_all();
	assert_true(holds_at(other));
}

static void
test_tied(void **state)
{
	struct digest d;

	(void)state;
	begin_workspace();
	assert_int_equal(digest_bytes(workspace, strlen(workspace), &d), 0);
	assert_int_equal(
		inputs_add(&got, INPUT_OUT_DIR, INPUT_WORKSPACE_NAME, d.b, DIGEST_SIZE), 0);
	assert_true(holds_at(workspace));
	assert_false(holds_at(other));
	assert_false(holds_at(NULL));
}

static void
test_texts(void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT, hidden = BUF_INIT, shown = BUF_INIT;
	struct inputs_place there = place;

	(void)state;
	begin_workspace();
	there = place;
	there.workspace = other;
	there.out_dir = there.real_out_dir = there.target_dir = there.real_target_dir = "/t";
	assert_int_equal(buf_addf(&text, "%s/a.d: %s/src/a.rs %s/x\n\\u001b[0m%s/b.rs:1", out,
				 workspace, dir, workspace),
		0);
	assert_int_equal(marks_hide(&place, text.p, text.n, &hidden), 0);
	assert_null(memmem(hidden.p, hidden.n, workspace, strlen(workspace)));
	assert_int_equal(marks_show(&there, hidden.p, hidden.n, &shown), 0);
	assert_int_equal(buf_add(&shown, "", 1), 0);
	buf_done(&text);
	assert_int_equal(
		buf_addf(&text, "/t/a.d: %s/src/a.rs %s/x\n\\u001b[0m%s/b.rs:1", other, dir, other),
		0);
	assert_string_equal((char *)shown.p, (char *)text.p);
	/* a part of another name */
	buf_done(&text);
	buf_done(&hidden);
	assert_int_equal(buf_addf(&text, "%s-old/a", workspace), 0);
	assert_int_equal(marks_hide(&place, text.p, text.n, &hidden), -EBADMSG);
}

/* What lies in a home is found in another one. */
static void
test_homes(void **state)
{
	_cleanup_(freep) char *differs = NULL;
	char home[PATH_MAX + 16], cargo[PATH_MAX + 16];
	struct inputs_place there;
	struct digest d;

	(void)state;
	begin_workspace();
	assert_int_equal(fs_mkdir_p(in("home/cargo"), 0755), 0);
	assert_int_equal(fs_mkdir_p(in("deep/cargo"), 0755), 0);
	put("home/cargo/lib.rs", "a");
	put("home/setting", "s");
	put("deep/cargo/lib.rs", "a");
	snprintf(home, sizeof(home), "%s/home", dir);
	snprintf(cargo, sizeof(cargo), "%s/home/cargo", dir);
	place.home = home;
	place.cargo_home = cargo;
	place.workspace = NULL;
	item('f', in("home/cargo/lib.rs"));
	item('f', in("home/setting"));
	item('a', in("home/absent"));
	take_all();
	assert_true(holds_at(NULL));
	there = place;
	there.home = in("deep");
	assert_int_equal(inputs_check(&got, &there, &differs), -ESTALE);
	put("deep/setting", "s");
	free(steal_ptr(differs));
	there.home = in("deep");
	assert_int_equal(inputs_check(&got, &there, &differs), 0);
	there.cargo_home = in("deep/none");
	assert_int_equal(inputs_check(&got, &there, &differs), -ESTALE);
	free(steal_ptr(differs));
	assert_int_equal(digest_bytes(home, strlen(home), &d), 0);
	assert_int_equal(inputs_add(&got, INPUT_OUT_DIR, INPUT_HOME_NAME, d.b, DIGEST_SIZE), 0);
	assert_true(holds_at(NULL));
	there.cargo_home = cargo;
	assert_int_equal(inputs_check(&got, &there, &differs), -ESTALE);
	free(steal_ptr(differs));
}

/* What is read there may have been "../setting". */
static void
test_workspace_in_home(void **state)
{
	(void)state;
	begin_workspace();
	put("setting", "s");
	place.home = dir;
	item('f', in("setting"));
	take_all();
	assert_true(holds_at(workspace));
	assert_false(holds_at(other));
}

static void
test_homes_in_texts(void **state)
{
	_cleanup_(buf_done) struct buf hidden = BUF_INIT, shown = BUF_INIT;
	struct inputs_place p = { .out_dir = "/h/w/target/debug/deps",
		.real_out_dir = "/h/w/target/debug/deps",
		.target_dir = "/h/w/target",
		.real_target_dir = "/h/w/target",
		.workspace = "/h/w",
		.cargo_home = "/h/.cargo",
		.home = "/h" };
	static const char text[] = "/h/w/target/debug/deps/x /h/w/y /h/.cargo/z /h/v",
			  longer[] = "/h2/a /h/.cargo/b";

	(void)state;
	assert_int_equal(marks_hide(&p, text, strlen(text), &hidden), 0);
	assert_int_equal(hidden.n, strlen("1/x 3/y 4/z 5/v"));
	assert_memory_equal(hidden.p, "\x01/x \x03/y \x04/z \x05/v", hidden.n);
	assert_int_equal(marks_show(&p, hidden.p, hidden.n, &shown), 0);
	assert_int_equal(shown.n, strlen(text));
	assert_memory_equal(shown.p, text, shown.n);
	/* a home whose name is a part of another one stays, and all else is hidden */
	buf_done(&hidden);
	assert_int_equal(marks_hide(&p, longer, strlen(longer), &hidden), 0);
	assert_int_equal(hidden.n, strlen("/h2/a 4/b"));
	assert_memory_equal(hidden.p, "/h2/a \x04/b", hidden.n);
}

/* A workspace in a target directory, and the other way round. */
static void
test_nested(void **state)
{
	_cleanup_(buf_done) struct buf hidden = BUF_INIT, shown = BUF_INIT;
	struct inputs_place p = { .out_dir = "/top/w/target/debug/deps",
		.real_out_dir = "/top/w/target/debug/deps",
		.target_dir = "/top/w/target",
		.real_target_dir = "/top/w/target",
		.workspace = "/top/w" };
	static const char text[] = "/top/w/target/debug/deps/x /top/w/target/y /top/w/z /top/v";

	(void)state;
	assert_int_equal(marks_hide(&p, text, strlen(text), &hidden), 0);
	assert_int_equal(hidden.n, strlen("1/x 2/y 3/z /top/v"));
	assert_memory_equal(hidden.p, "\x01/x \x02/y \x03/z /top/v", hidden.n);
	assert_int_equal(marks_show(&p, hidden.p, hidden.n, &shown), 0);
	assert_int_equal(shown.n, strlen(text));
	assert_memory_equal(shown.p, text, shown.n);
	buf_done(&hidden);
	p.target_dir = p.real_target_dir = "/top";
	assert_int_equal(marks_hide(&p, text, strlen(text), &hidden), 0);
	assert_memory_equal(hidden.p, "\x01/x \x03/target/y \x03/z \x02/v", hidden.n);
}

/* As an optimising compiler puts them into instructions. */
static void
test_has_pieces(void **state)
{
	static const char two[] = "/home/u/..ws/target", rest[] = "/home/u/..ws/x",
			  over[] = "ome/u/ws../home/u/";
	static const char short_one[] = "../ws";

	(void)state;
	assert_true(text_has_pieces(two, strlen(two), "/home/u/ws/target/"));
	assert_false(text_has_pieces(two, strlen(two), "/home/u/ws/other/x"));
	assert_true(text_has_pieces(rest, strlen(rest), "/home/u/ws/x"));
	assert_false(text_has_pieces(rest, strlen(rest), "/home/u/a/bc"));
	assert_true(text_has_pieces(over, strlen(over), "/home/u/ws"));
	assert_false(text_has_pieces("", 0, "/home/u/ws"));
	assert_true(text_has_pieces(short_one, strlen(short_one), "/ws"));
	assert_false(text_has_pieces(short_one, strlen(short_one), "/work"));
	put("file", two);
	assert_int_equal(text_file_has_pieces(in("file"), "/home/u/ws/target/"), 1);
	assert_int_equal(text_file_has_pieces(in("file"), "/home/v/ws/target/"), 0);
	assert_int_equal(text_file_has_pieces(in("none"), "/home/u/ws"), -ENOENT);
	/* what is no file is not waited for */
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	assert_int_equal(text_file_has_pieces(in("fifo"), "/home/u/ws"), -EINVAL);
	assert_int_equal(text_file_has(in("fifo"), "/home/u/ws"), -EINVAL);
}

static void
test_has_not_after(void **state)
{
	static const char text[] = "/a/b /x/b";

	(void)state;
	assert_true(text_has_not_after(text, strlen(text), "/b", "/a"));
	assert_false(text_has_not_after(text, strlen("/a/b"), "/b", "/a"));
	assert_true(text_has_not_after("/b", 2, "/b", "/a"));
	assert_false(text_has_not_after("/c", 2, "/b", "/a"));
	assert_false(text_has_not_after("", 0, "/b", "/a"));
	put("file", text);
	put("empty", "");
	assert_int_equal(text_file_has_not_after(in("file"), "/b", "/a"), 1);
	assert_int_equal(text_file_has_not_after(in("empty"), "/b", "/a"), 0);
	assert_int_equal(text_file_has_not_after(in("none"), "/b", "/a"), -ENOENT);
}

static void
test_has_but(void **state)
{
	static const char *const but[] = { "/home/u/ws", "/home/u/.cargo" };
	static const char none[] = "a /home/u/ws/x /home/u/.cargo/y";
	static const char one[] = "a /home/u/ws/x /home/u/.cargo/y /home/u/z";

	(void)state;
	assert_false(text_has_but(none, strlen(none), "/home/u", but, 2));
	assert_true(text_has_but(one, strlen(one), "/home/u", but, 2));
	assert_false(text_has_but("", 0, "/home/u", but, 2));
	put("file", one);
	assert_int_equal(text_file_has_but(in("file"), "/home/u", but, 2), 1);
	put("file", none);
	assert_int_equal(text_file_has_but(in("file"), "/home/u", but, 2), 0);
	put("file", "");
	assert_int_equal(text_file_has_but(in("file"), "/home/u", but, 2), 0);
	assert_int_equal(text_file_has_but(in("none"), "/home/u", but, 2), -ENOENT);
}

static bool
stands_free(const struct strv *names, const char *text)
{
	return amid_stands_free(names, text, strlen(text), "/root");
}

static void
test_amid(void **state)
{
	_cleanup_(strv_done) struct strv names = STRV_INIT;

	(void)state;
	assert_false(stands_free(&names, "roots"));
	assert_true(stands_free(&names, "src/roots.rs"));
	assert_int_equal(amid_add_path(&names, "\x04registry/num/src/roots.rs", "/root"), 0);
	assert_int_equal(amid_add_path(&names, "\x03roots/a/rootfs/deep/rootless.rs", "/root"), 0);
	/* nothing goes on, or nothing goes before */
	assert_int_equal(amid_add_path(&names, "\x03src/root/mod.rs", "/root"), 0);
	assert_int_equal(amid_add_path(&names, "\x03src/root", "/root"), 0);
	assert_int_equal(amid_add_path(&names, "/roots.rs", "/root"), 0);
	assert_int_equal(amid_add_path(&names, "\x04registry/num/src/roots.rs", "/root"), 0);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[0], "src/roots.rs");
	assert_string_equal(names.v[1], "a/rootfs/deep/rootless.rs");
	assert_string_equal(names.v[2], "deep/rootless.rs");
	assert_false(stands_free(&names, "num/src/roots.rs:7called"));
	assert_false(stands_free(&names, "a/rootfs/deep/rootless.rs"));
	assert_true(stands_free(&names, "src/root"));
	assert_true(stands_free(&names, "rc/roots.rs"));
	assert_true(stands_free(&names, "lib/roots.rs"));
	assert_true(stands_free(&names, "src/roots"));
	assert_true(stands_free(&names, "src/root.rs"));
	assert_true(stands_free(&names, "/root/src/roots.rs"));
	assert_true(stands_free(&names, "src/roots.rs/root"));
	assert_false(stands_free(&names, ""));
	put("file", "\x01src/roots.rs");
	assert_int_equal(amid_file_stands_free(&names, in("file"), "/root"), 0);
	put("file", "src/roots.rs /root");
	assert_int_equal(amid_file_stands_free(&names, in("file"), "/root"), 1);
	put("file", "");
	assert_int_equal(amid_file_stands_free(&names, in("file"), "/root"), 0);
	assert_int_equal(amid_file_stands_free(&names, in("none"), "/root"), -ENOENT);
}

static void
test_amid_file(void **state)
{
	_cleanup_(strv_done) struct strv names = STRV_INIT;

	(void)state;
	put("crate", "x /rootless.rs \"ab/roots/c.rscalled src/root.rs src/rootx src/root/mod.rs "
		     "/cargo/num/src/roots.rs");
	assert_int_equal(amid_add_file(&names, in("crate"), "/root"), 0);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[0], "ab/roots/c.rs");
	assert_string_equal(names.v[1], "src/root.rs");
	assert_string_equal(names.v[2], "src/roots.rs");
	put("crate", "a/roo");
	assert_int_equal(amid_add_file(&names, in("crate"), "/root"), 0);
	put("crate", "a/root");
	assert_int_equal(amid_add_file(&names, in("crate"), "/root"), 0);
	put("crate", "a/roots.r");
	assert_int_equal(amid_add_file(&names, in("crate"), "/root"), 0);
	assert_int_equal(names.n, 3);
	assert_int_equal(amid_add_file(&names, in("none"), "/root"), -ENOENT);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = { T(test_moves), T(test_above_toolchain), T(test_rustups),
		T(test_list_of_home), T(test_rustups_in_home), T(test_beside_rustups),
		T(test_links_above), T(test_beside), T(test_search), T(test_search_elsewhere),
		T(test_short_search), T(test_single_look), T(test_look_by_other_ways),
		T(test_single_look_at_odd_things), T(test_search_from_within),
		T(test_search_of_two), T(test_look_beside_home), T(test_look_near_target),
		T(test_look_from_link), T(test_common), T(test_tied), T(test_texts), T(test_nested),
		T(test_has_not_after), T(test_has_but), T(test_amid), T(test_amid_file),
		T(test_has_pieces), T(test_homes), T(test_workspace_in_home),
		T(test_homes_in_texts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
