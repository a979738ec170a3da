/* Identity and allowed-keys files: what is written is read back, what is wrong is refused. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zmq.h>

#include "common/fs.h"
#include "keys/identity.h"

/* from RFC 32 */
static const uint8_t RFC_RAW[8] = { 0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b };
static const char RFC_TEXT[] = "HelloWorld";

static char *dir;

static int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-identity-", &dir);
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	return r;
}

static char *
in_dir(const char *name)
{
	char *p = path_join(dir, name);

	assert_non_null(p);
	return p;
}

static void
put(const char *path, const char *text, mode_t mode)
{
	assert_int_equal(fs_write_atomic(path, text, strlen(text), mode), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
z85_agrees_with_libzmq(void **state)
{
	uint8_t raw[32], back[32], theirs[32];
	char text[CURVE_KEY_SIZE], zmq_text[CURVE_KEY_SIZE];
	unsigned seed, i;

	for (seed = 0; seed < 200; seed++) {
		for (i = 0; i < 32; i++)
			raw[i] = (uint8_t)(seed == 0   ? 0
					   : seed == 1 ? 0xff
						       : (seed * 131 + i * 197) ^ i);
		memcpy(raw, RFC_RAW, sizeof(RFC_RAW));
		z85_encode32(raw, text);
		assert_non_null(zmq_z85_encode(zmq_text, raw, 32));
		assert_string_equal(text, zmq_text);
		assert_memory_equal(text, RFC_TEXT, 10);
		assert_int_equal(z85_decode32(text, back), 0);
		assert_memory_equal(raw, back, 32);
		assert_non_null(zmq_z85_decode(theirs, text));
		assert_memory_equal(theirs, back, 32);
	}
}

static void
z85_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"HelloWorld",
		"HelloWorldHelloWorldHelloWorldHelloWorl",
		"HelloWorldHelloWorldHelloWorldHelloWorldH",
		"HelloWorldHelloWorldHelloWorldHelloWorl\"",
		"HelloWorldHelloWorldHelloWorldHelloWor d",
		"HelloWorldHelloWorldHelloWorldHello\x80orld",
		"#####WorldHelloWorldHelloWorldHelloWorld", /* more than 32 bits in five digits */
		"HelloWorldHelloWorldHelloWorldHello%nSc1",
	};
	uint8_t out[32], before[32];
	size_t i;

	memset(out, 7, sizeof(out));
	memcpy(before, out, sizeof(out));
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(z85_decode32(bad[i], out), -EINVAL);
		assert_memory_equal(out, before, sizeof(out));
	}
	/* the largest group that fits */
	assert_int_equal(z85_decode32("%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0", out), 0);
	assert_int_equal(out[0], 0xff);
	assert_int_equal(out[31], 0xff);
}

static void
generated_pair_is_a_curve_pair(void **state)
{
	_cleanup_(identity_done) struct identity a = { 0 }, b = { 0 };
	char derived[CURVE_KEY_SIZE];

	assert_int_equal(identity_generate("node-1", &a), 0);
	assert_int_equal(identity_generate("node-2", &b), 0);
	assert_true(a.has_secret);
	assert_string_equal(a.name, "node-1");
	assert_int_equal(zmq_curve_public(derived, a.curve_secret), 0);
	assert_string_equal(derived, a.curve_public);
	assert_string_not_equal(a.curve_secret, b.curve_secret);
	assert_string_not_equal(a.curve_secret, a.curve_public);
	assert_memory_not_equal(a.sign_secret, b.sign_secret, SIGN_KEY_SIZE);
}

static void
bad_names(void **state)
{
	struct identity id = { 0 };
	char longest[66];

	memset(longest, 'n', 65);
	longest[65] = '\0';
	assert_int_equal(identity_generate(longest, &id), -EINVAL);
	assert_int_equal(identity_generate("", &id), -EINVAL);
	assert_int_equal(identity_generate("a b", &id), -EINVAL);
	assert_int_equal(identity_generate("a/b", &id), -EINVAL);
	assert_int_equal(identity_generate("a\nb", &id), -EINVAL);
	assert_string_equal(id.name, "");
	longest[64] = '\0';
	assert_int_equal(identity_generate(longest, &id), 0);
	assert_string_equal(id.name, longest);
	identity_done(&id);
	assert_string_equal(id.curve_secret, "");
}

static void
save_and_load(void **state)
{
	_cleanup_(identity_done) struct identity a = { 0 }, b = { 0 }, p = { 0 };
	_cleanup_(freep) char *path = in_dir("id"), *pub = in_dir("id.pub");
	struct stat st;
	unsigned line = 99;

	assert_int_equal(identity_generate("worker.7", &a), 0);
	assert_int_equal(identity_save(&a, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(pub, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);

	assert_int_equal(identity_load(path, &b, &line), 0);
	assert_true(b.has_secret);
	assert_string_equal(a.name, b.name);
	assert_string_equal(a.curve_public, b.curve_public);
	assert_string_equal(a.curve_secret, b.curve_secret);
	assert_memory_equal(a.sign_public, b.sign_public, SIGN_KEY_SIZE);
	assert_memory_equal(a.sign_secret, b.sign_secret, SIGN_KEY_SIZE);

	assert_int_equal(identity_load(pub, &p, NULL), 0);
	assert_false(p.has_secret);
	assert_string_equal(p.curve_secret, "");
	assert_string_equal(p.curve_public, a.curve_public);

	/* a key is never overwritten, and a public one cannot be saved as a private one */
	assert_int_equal(identity_save(&b, path), -EEXIST);
	assert_int_equal(identity_save(&p, dir), -EINVAL);
	assert_int_equal(identity_load(path, &b, NULL), 0);

	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(identity_load(path, &b, NULL), -EPERM);
	assert_int_equal(chmod(path, 0602), 0);
	assert_int_equal(identity_load(path, &b, NULL), -EPERM);
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(identity_load(path, &b, NULL), 0);
	assert_int_equal(identity_load(dir, &b, NULL), -EBADMSG);
}

static void
save_fails_whole(void **state)
{
	_cleanup_(identity_done) struct identity a = { 0 };
	_cleanup_(freep) char *path = in_dir("half"), *pub = in_dir("half.pub"),
			      *gone = in_dir("no/id");

	assert_int_equal(identity_generate("x", &a), 0);
	/* the public file cannot be put there: the private one must not stay behind */
	assert_int_equal(mkdir(pub, 0700), 0);
	assert_true(identity_save(&a, path) < 0);
	assert_false(fs_exists(path));
	assert_int_equal(identity_save(&a, gone), -ENOENT);
}

#define CP "curve-public = rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n"
#define CS "curve-secret = JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6\n"
#define SP "sign-public = d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n"
#define SS "sign-secret = 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n"
#define WRONG_SS "sign-secret = 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f61\n"
#define WRONG_CS "curve-secret = rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n"

/* Its name alone is another one then; a link to the file stays one. */
static void
renamed(void **state)
{
	static const char before[] = "# mine\n" CP SP "  name = old  \n" CS SS "# end";
	static const char after[] = "# mine\n" CP SP "name = new.1\n" CS SS "# end";
	_cleanup_(identity_done) struct identity id = { 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = in_dir("named"), *link = in_dir("link"),
			      *pub = in_dir("link.pub");
	struct stat st;

	assert_int_equal(fs_write_atomic(path, before, strlen(before), 0600), 0);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(identity_rename(link, "a b"), -EINVAL);
	assert_int_equal(identity_rename(link, "new.1"), 0);
	assert_int_equal(fs_read_file(path, 4096, &b), 0);
	assert_int_equal(b.n, strlen(after));
	assert_memory_equal(b.p, after, b.n);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(identity_load(pub, &id, NULL), 0);
	assert_string_equal(id.name, "new.1");
	assert_false(id.has_secret);
	assert_int_equal(identity_rename(pub, "new.2"), 0);
	assert_int_equal(fs_write_atomic(path, "name = x\n", 9, 0600), 0);
	assert_int_equal(identity_rename(path, "y"), -EBADMSG);
	free(path);
	path = in_dir("none");
	assert_int_equal(identity_rename(path, "y"), -ENOENT);
}

static void
known_file(void **state)
{
	/* the pairs of zmq_curve(7), and of RFC 8032, test 1 */
	_cleanup_(identity_done) struct identity id = { 0 };
	_cleanup_(freep) char *path = in_dir("known");
	static const uint8_t sig[SIGNATURE_SIZE] = { 0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72,
		0x90, 0x86, 0xe2, 0xcc, 0x80, 0x6e, 0x82, 0x8a, 0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5,
		0xd9, 0x74, 0xd8, 0x73, 0xe0, 0x65, 0x22, 0x49, 0x01, 0x55, 0x5f, 0xb8, 0x82, 0x15,
		0x90, 0xa3, 0x3b, 0xac, 0xc6, 0x1e, 0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b, 0xd2, 0x5b,
		0xf5, 0xf0, 0x59, 0x5b, 0xbe, 0x24, 0x65, 0x51, 0x41, 0x43, 0x8e, 0x7a, 0x10,
		0x0b };
	uint8_t mine[SIGNATURE_SIZE];

	put(path, "# mine\r\n\n  name=  grass \r\n" CP CS SP SS, 0600);
	assert_int_equal(identity_load(path, &id, NULL), 0);
	assert_string_equal(id.name, "grass");
	assert_int_equal(identity_sign(&id, "", 0, mine), 0);
	assert_memory_equal(mine, sig, sizeof(sig));
	assert_true(identity_verify(id.sign_public, "", 0, sig));
}

static void
refused_files(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} bad[] = {
		{ "", 0 },
		{ "name = x\n", 0 },
		{ "name = x\n" CP, 0 },
		{ "name = x\n" CP SP CS, 0 }, /* one secret of two */
		{ "name = x\n" CP SP SS, 0 },
		{ "name = x\nname = x\n" CP SP, 2 }, /* twice */
		{ "name = x y\n" CP SP, 1 },
		{ "name =\n" CP SP, 1 },
		{ "name = x\nnonsense\n" CP SP, 2 },
		{ "name = x\ncolour = red\n" CP SP, 2 },
		{ "name = x\ncurve-public = short\n" SP, 2 },
		{ "name = x\n" CP "sign-public = D75A\n", 3 },
		{ "name = x\n" CP SP CS WRONG_SS, 5 }, /* a pair that is none */
		{ "name = x\n" CP WRONG_CS SP SS, 3 },
	};
	_cleanup_(freep) char *path = in_dir("bad");
	struct identity id;
	char big[5000];
	size_t i;

	memset(&id, 0x5a, sizeof(id));
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		unsigned line = 77;

		put(path, bad[i].text, 0600);
		assert_int_equal(identity_load(path, &id, &line), -EBADMSG);
		assert_int_equal(line, bad[i].line);
		assert_int_equal(id.name[0], 0x5a);
	}
	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	put(path, big, 0600);
	assert_int_equal(identity_load(path, &id, NULL), -EBADMSG);
	assert_int_equal(identity_load("/nonexistent/id", &id, NULL), -ENOENT);
}

static void
signatures(void **state)
{
	_cleanup_(identity_done) struct identity a = { 0 }, b = { 0 };
	uint8_t sig[SIGNATURE_SIZE];
	char text[] = "ticket";

	assert_int_equal(identity_generate("a", &a), 0);
	assert_int_equal(identity_generate("b", &b), 0);
	assert_int_equal(identity_sign(&a, text, 6, sig), 0);
	assert_true(identity_verify(a.sign_public, text, 6, sig));
	assert_false(identity_verify(b.sign_public, text, 6, sig));
	assert_false(identity_verify(a.sign_public, text, 5, sig));
	text[0] ^= 1;
	assert_false(identity_verify(a.sign_public, text, 6, sig));
	text[0] ^= 1;
	sig[63] ^= 1;
	assert_false(identity_verify(a.sign_public, text, 6, sig));
	a.has_secret = false;
	assert_int_equal(identity_sign(&a, text, 6, sig), -EINVAL);
}

#define K1 "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define K2 "rq:r#HelloWorldHelloWorldHelloWorldHello"
#define K3 "HelloWorldHelloWorldHelloWorldHelloWorld"

static void
allowed_keys(void **state)
{
	static const char text[] = "# who may\n\n"
				   "client " K1 "\n"
				   "  worker\t" K2 "  rack-1 # the one beside the door\r\n"
				   " # gone\n"
				   "admin " K3 " #none";
	_cleanup_(allowed_keys_done) struct allowed_keys a = { NULL, 0 };
	_cleanup_(freep) char *path = in_dir("allowed");
	struct keys_fault fault = { .line = 5 };

	put(path, text, 0644);
	assert_int_equal(allowed_keys_load(path, &a, &fault), 0);
	assert_int_equal(fault.line, 0);
	assert_int_equal(a.n, 3);
	assert_int_equal(allowed_keys_role(&a, K1), ROLE_CLIENT);
	assert_int_equal(allowed_keys_role(&a, K2), ROLE_WORKER);
	assert_int_equal(allowed_keys_role(&a, K3), ROLE_ADMIN);
	assert_int_equal(allowed_keys_role(&a, ""), ROLE_NONE);
	assert_int_equal(
		allowed_keys_role(&a, "HelloWorldHelloWorldHelloWorldHelloWorlD"), ROLE_NONE);
	assert_string_equal(role_name(ROLE_WORKER), "worker");
	assert_string_equal(role_name((enum role)99), "none");
	allowed_keys_done(&a);
	assert_int_equal(allowed_keys_role(&a, K1), ROLE_NONE);
	assert_int_equal(allowed_keys_load("/nonexistent/keys", &a, &fault), -ENOENT);
	assert_int_equal(allowed_keys_parse("", 0, &a, &fault), 0);
	assert_int_equal(a.n, 0);
}

static void
allowed_keys_keep_names(void **state)
{
	_cleanup_(allowed_keys_done) struct allowed_keys a = { NULL, 0 };
	static const char text[] = "worker " K3 " rack-1 # here";

	assert_int_equal(allowed_keys_parse(text, strlen(text), &a, NULL), 0);
	assert_int_equal(a.n, 1);
	assert_string_equal(a.v[0].name, "rack-1");
	assert_string_equal(a.v[0].curve_public, K3);
	assert_true(allowed_keys_may_be(&a, K3, "rack-1"));
	assert_false(allowed_keys_may_be(&a, K3, "rack-2"));
}

static void
allowed_keys_roles_and_namespaces(void **state)
{
	_cleanup_(allowed_keys_done) struct allowed_keys a = { NULL, 0 };
	static const char text[] = "publisher " K1 " ci namespace=team-a # here\n"
				   "reader " K2 " namespace=team-b\n"
				   "worker " K3 "\n";

	assert_int_equal(allowed_keys_parse(text, strlen(text), &a, NULL), 0);
	assert_int_equal(allowed_keys_role(&a, K1), ROLE_PUBLISHER);
	assert_string_equal(allowed_keys_find(&a, K1)->name, "ci");
	assert_string_equal(allowed_keys_find(&a, K1)->namespace, "team-a");
	assert_int_equal(allowed_keys_role(&a, K2), ROLE_READER);
	assert_string_equal(allowed_keys_find(&a, K2)->name, "");
	assert_string_equal(allowed_keys_find(&a, K2)->namespace, "team-b");
	assert_string_equal(allowed_keys_find(&a, K3)->namespace, "");
	/* a worker without a name in the list may choose one; a client's name is not a worker's */
	assert_true(allowed_keys_may_be(&a, K3, "ci"));
	assert_false(allowed_keys_may_be(&a, K1, "ci"));
	assert_int_equal(role_parse("publisher"), ROLE_PUBLISHER);
	assert_int_equal(role_parse("none"), ROLE_NONE);
	assert_int_equal(role_parse("local"), ROLE_NONE);
}

#define S1 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define S2 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void
allowed_keys_sign_and_are_revoked(void **state)
{
	_cleanup_(allowed_keys_done) struct allowed_keys a = { NULL, 0 };
	static const char text[] = "worker " K1 " rack-1 namespace=a sign=" S1 " revoked # stolen\n"
				   "worker " K2 " rack-1 sign=" S2 "\n"
				   "client " K3 " revoked\n";
	uint8_t first[SIGN_KEY_SIZE];

	memset(first, 0xbb, sizeof(first));
	assert_int_equal(allowed_keys_parse(text, strlen(text), &a, NULL), 0);
	assert_int_equal(a.n, 3);
	/* it has no role, and is found nowhere; its name is another's */
	assert_int_equal(allowed_keys_role(&a, K1), ROLE_NONE);
	assert_null(allowed_keys_find(&a, K1));
	assert_true(allowed_keys_is_revoked(&a, K1));
	assert_false(allowed_keys_is_revoked(&a, K2));
	assert_false(allowed_keys_is_revoked(&a, "HelloWorldHelloWorldHelloWorldHelloWorlD"));
	assert_false(allowed_keys_may_be(&a, K1, "rack-1"));
	assert_true(allowed_keys_may_be(&a, K2, "rack-1"));
	assert_true(allowed_keys_find(&a, K2)->signs);
	assert_memory_equal(allowed_keys_find(&a, K2)->sign_public, first, SIGN_KEY_SIZE);
	assert_int_equal(allowed_keys_role(&a, K3), ROLE_NONE);
	for (size_t i = 0; i < a.n; i++)
		assert_string_equal(a.v[i].name, a.v[i].role == ROLE_WORKER ? "rack-1" : "");
}

/* What stands behind the key does so in any order. */
static void
allowed_keys_in_any_order(void **state)
{
	static const char *const lines[] = {
		"worker " K1 " rack-1 namespace=a sign=" S1 " revoked",
		"worker " K1 " revoked sign=" S1 " namespace=a rack-1 # stolen",
		"worker " K1 " sign=" S1 " rack-1 revoked namespace=a",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		_cleanup_(allowed_keys_done) struct allowed_keys a = { NULL, 0 };

		assert_int_equal(allowed_keys_parse(lines[i], strlen(lines[i]), &a, NULL), 0);
		assert_int_equal(a.n, 1);
		assert_string_equal(a.v[0].name, "rack-1");
		assert_string_equal(a.v[0].namespace, "a");
		assert_true(a.v[0].signs);
		assert_int_equal(a.v[0].sign_public[31], 0xaa);
		assert_true(a.v[0].revoked);
	}
}

static void
allowed_keys_refuses(void **state)
{
	/* and what is said of it */
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} bad[] = {
		{ "client\n", 1, "no public key behind the role" },
		{ "worker " K1 " sign=" S1 "\nworker " K2 " sign=" S1 " revoked\n", 2,
			"its sign= is in line 1 already" },
		{ "worker " K1 " sign=abc\n", 1, "sign=\"abc\" is no signing key" },
		{ "worker " K1 " sign=" S1 "0\n", 1, "is no signing key" },
		{ "worker " K1 " sign=" S1 " a sign=" S2 "\n", 1, "a second sign=" },
		{ "worker " K1 " revoked revoked\n", 1, "a second revoked" },
		{ "worker " K1 " a\nworker " K2 " a revoked\nworker " K3 " a\n", 3,
			"the name of this worker is in line 1 already" },
		{ "none " K1 "\n", 1, "\"none\" is none of client, reader" },
		{ "clients " K1 "\n", 1, "\"clients\" is none of client" },
		{ "client  # " K1 "\n", 1, "no public key behind the role" },
		{ "client " K1 "x\n", 1, "\"" K1 "x\" is no public key" },
		{ "client " K1 "\nworker short\n", 2, "\"short\" is no public key" },
		{ "client " K1 " a b\n", 1, "\"b\" is a second name" },
		{ "client " K1 " a/b\n", 1, "\"a/b\" is no name" },
		{ "local " K1 "\n", 1, "\"local\" is none" },
		{ "client " K1 " a namespace=\n", 1, "\"namespace=\" is no namespace" },
		{ "client " K1 " a namespace=b/c\n", 1, "\"namespace=b/c\" is no namespace" },
		{ "client " K1 " a namespace=b c\n", 1, "\"c\" is a second name" },
		{ "client " K1 " namespace=b namespace=c\n", 1, "a second namespace" },
		{ "client " K1 " nmspace=b\n", 1, "\"nmspace=b\" is none of the words" },
		/* nothing that a terminal would obey */
		{ "\033[2J" K1 "\n", 1, "\"?[2J" },
		{ "client " K1 " " S1 "-" S2 "\n", 1, "aaa...\" is no name" },
		{ "worker " K1 " w\nclient " K2 " w\nworker " K3 " w\n", 3,
			"the name of this worker" },
		/* two roles */
		{ "client " K1 "\n#\nclient " K3 "\nworker " K1 "\nadmin " K3 "\n", 4,
			"its public key is in line 1 already" },
		{ "client " K1 "\n\n\nclient " K1 "\n", 4, "in line 1 already" },
	};
	struct allowed_keys a;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct keys_fault fault = { .line = 0 };

		assert_int_equal(
			allowed_keys_parse(bad[i].text, strlen(bad[i].text), &a, &fault), -EBADMSG);
		assert_int_equal(fault.line, bad[i].line);
		if (!strstr(fault.what, bad[i].says))
			fail_msg("row %zu: %s", i, fault.what);
		assert_null(a.v);
		assert_int_equal(a.n, 0);
	}
	/* a NUL is no end: what follows it is not let through unseen */
	assert_int_equal(allowed_keys_parse("client " K1 "\0junk\n", 54, &a, NULL), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(z85_agrees_with_libzmq),
		cmocka_unit_test(z85_refuses),
		cmocka_unit_test(generated_pair_is_a_curve_pair),
		cmocka_unit_test(renamed),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(save_and_load),
		cmocka_unit_test(save_fails_whole),
		cmocka_unit_test(known_file),
		cmocka_unit_test(refused_files),
		cmocka_unit_test(signatures),
		cmocka_unit_test(allowed_keys),
		cmocka_unit_test(allowed_keys_keep_names),
		cmocka_unit_test(allowed_keys_roles_and_namespaces),
		cmocka_unit_test(allowed_keys_sign_and_are_revoked),
		cmocka_unit_test(allowed_keys_in_any_order),
		cmocka_unit_test(allowed_keys_refuses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
