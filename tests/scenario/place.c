/* A far place by hand: PLACE=URL place [TMP-DIR]. Or a chain of them: a list with a comma or a
 * blank in it (chain/list.h), with PLACE_BUDGET.
 *
 * The URL is in the environment, where other users do not see its password. Commands come as lines;
 * each is begun as it comes, and said a line about when it is answered:
 *
 *   put FILE            put 0|1 DIGEST SIZE      1: it was there
 *   has NAME            has NAME SIZE
 *   get NAME FILE       get NAME SIZE
 *   put-entry KEY FILE  put-entry KEY SIZE
 *   has-entry KEY, get-entry KEY FILE
 *   max BYTES           of all that is got from now on
 *   many N SIZE         puts N blobs of that size, all at once; one line about them
 *   many-get N SIZE     gets them, all at once; one line
 *   wait                what follows is read when all before are answered
 *   why                 why TEXT
 *   limit MS            of a chain's requests from now on
 *   build               a chain's next build
 *   stats               of a chain: a line for each place
 *
 * An error: COMMAND NAME error ENOENT. Times are ms since the line was read, at the end of each.
 * Ends with the lines, when all are answered. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "store/chain/chain.h"
#include "store/place.h"

static struct store *store;
static uint64_t max = UINT64_MAX;
static unsigned open_requests, limit;
static bool is_chain;
static bool reading = true;

struct request {
	char command[16], name[256];
	char *to; /* get: the file */
	uint64_t begun;
	struct many *many;
};

struct many {
	char command[16];
	unsigned left, failed, there;
	int error;
	uint64_t begun, bytes;
};

static void
say_error(const char *command, const char *name, int error, uint64_t begun)
{
	printf("%s %s error %s %llu\n", command, name, strerrorname_np(-error),
		(unsigned long long)(clock_mono_ms() - begun));
}

static int
keep(const struct store_reply *r, const char *path)
{
	_cleanup_(closep) int from = r->fd;
	_cleanup_(closep) int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return to < 0 ? -errno : fs_copy_fd(from, to);
}

static void
many_done(struct many *m, const struct store_reply *r)
{
	m->left--;
	m->there += r->was_there;
	m->bytes += r->size;
	if (r->error < 0) {
		m->failed++;
		m->error = r->error;
	}
	if (r->fd >= 0)
		close(r->fd);
	if (m->left > 0)
		return;
	printf("%s failed %u there %u bytes %llu last %s %llu\n", m->command, m->failed, m->there,
		(unsigned long long)m->bytes, m->error < 0 ? strerrorname_np(-m->error) : "-",
		(unsigned long long)(clock_mono_ms() - m->begun));
	free(m);
}

static void
done(void *arg, const struct store_reply *r)
{
	struct request *q = arg;
	char hex[DIGEST_HEX_SIZE];
	int error = r->error;

	open_requests--;
	if (q->many != NULL) {
		many_done(q->many, r);
	} else {
		if (error == 0 && q->to != NULL)
			error = keep(r, q->to);
		if (error < 0) {
			say_error(q->command, q->name, error, q->begun);
		} else {
			if (streq(q->command, "put")) {
				digest_hex(&r->name, hex);
				snprintf(q->name, sizeof(q->name), "%d %s", r->was_there, hex);
			}
			printf("%s %s %llu %llu\n", q->command, q->name,
				(unsigned long long)r->size,
				(unsigned long long)(clock_mono_ms() - q->begun));
		}
	}
	fflush(stdout);
	free(q->to);
	free(q);
}

static struct request *
new_request(const char *command, const char *name, const char *to)
{
	struct request *q = calloc(1, sizeof(*q));

	if (q == NULL || (to != NULL && (q->to = strdup(to)) == NULL))
		abort();
	snprintf(q->command, sizeof(q->command), "%s", command);
	snprintf(q->name, sizeof(q->name), "%s", name);
	q->begun = clock_mono_ms();
	open_requests++;
	return q;
}

static void
do_has(enum store_kind kind, const struct digest *d, struct request *q)
{
	if (is_chain)
		chain_has_within(store, kind, d, limit, done, q);
	else
		store_has(store, kind, d, done, q);
}

static void
do_get(enum store_kind kind, const struct digest *d, struct request *q)
{
	if (is_chain)
		chain_get_within(store, kind, d, max, limit, done, q);
	else
		store_get(store, kind, d, max, done, q);
}

/* Content that is its own. */
static void
fill(uint8_t *p, size_t n, unsigned seed)
{
	uint64_t x = 88172645463325252ull + seed;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (uint8_t)(x >> 32);
	}
}

static void
do_many(const char *command, unsigned n, size_t size)
{
	struct many *m = calloc(1, sizeof(*m));
	uint8_t *p = malloc(size + 1);

	if (m == NULL || p == NULL || n == 0)
		abort();
	snprintf(m->command, sizeof(m->command), "%s", command);
	m->left = n;
	m->begun = clock_mono_ms();
	for (unsigned i = 0; i < n; i++) {
		struct request *q = new_request(command, "", NULL);
		struct digest d;

		q->many = m;
		fill(p, size, i);
		if (streq(command, "many")) {
			int fd = memfd_create("many", MFD_CLOEXEC);

			if (fd < 0 || fs_write_all(fd, p, size) < 0 || lseek(fd, 0, SEEK_SET) < 0)
				abort();
			store_put_fd(store, fd, done, q);
			close(fd);
		} else {
			if (digest_bytes(p, size, &d) < 0)
				abort();
			do_get(STORE_BLOB, &d, q);
		}
	}
	free(p);
}

static void
say_stats(void)
{
	struct chain_stats st;

	for (size_t i = 0; is_chain && chain_get_stats(store, i, &st) == 0; i++)
		printf("stats %zu hits %llu misses %llu errors %llu late %llu alone %llu puts %llu "
		       "there %llu in %llu out %llu%s%s %s\n",
			i, (unsigned long long)st.hits, (unsigned long long)st.misses,
			(unsigned long long)st.errors, (unsigned long long)st.late,
			(unsigned long long)st.left_alone, (unsigned long long)st.puts,
			(unsigned long long)st.there, (unsigned long long)st.bytes_in,
			(unsigned long long)st.bytes_out, st.read_only ? " ro" : "",
			st.open ? " open" : "", st.name);
}

static int
open_chain(const char *text, const char *tmp, char **ret_why)
{
	const char *budget = getenv("PLACE_BUDGET");
	const struct chain_in in = { .tmp = tmp,
		.budget = budget != NULL ? strtoull(budget, NULL, 10) : 0 };
	struct chain_list l = { .n = 0 };
	int r = chain_list_parse(text, &l, ret_why);

	if (r == 0)
		r = chain_open(&l, &in, &store, ret_why);
	chain_list_done(&l);
	is_chain = true;
	return r;
}

static void
do_put(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	store_put_fd(store, fd, done, new_request("put", file, NULL));
	closep(&fd);
}

static void
do_put_entry(const struct digest *key, const char *hex, const char *file)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = fs_read_file(file, 64 << 20, &b);

	if (r < 0)
		say_error("put-entry", hex, r, clock_mono_ms());
	else
		store_put_entry(store, key, b.p, b.n, done, new_request("put-entry", hex, NULL));
}

static void
do_line(char *line)
{
	char *words[4] = { NULL }, *save = NULL;
	enum store_kind kind = STORE_BLOB;
	struct digest d;
	size_t n = 0;

	for (char *w = strtok_r(line, " \n", &save); w != NULL && n < 3;
		w = strtok_r(NULL, " \n", &save))
		words[n++] = w;
	if (n == 0)
		return;
	if (ends_with(words[0], "-entry"))
		kind = STORE_ENTRY;
	if (streq(words[0], "put") && n == 2) {
		do_put(words[1]);
	} else if (streq(words[0], "max") && n == 2) {
		max = strtoull(words[1], NULL, 10);
	} else if (starts_with(words[0], "many") && n == 3) {
		do_many(words[0], (unsigned)atoi(words[1]), (size_t)atoll(words[2]));
	} else if (streq(words[0], "wait")) {
		reading = false;
	} else if (streq(words[0], "limit") && n == 2) {
		limit = (unsigned)atoi(words[1]);
	} else if (streq(words[0], "build") && is_chain) {
		chain_begin_build(store);
	} else if (streq(words[0], "stats")) {
		say_stats();
	} else if (streq(words[0], "why")) {
		printf("why %s\n", store_why(store));
	} else if (n < 2 || digest_parse(words[1], &d) < 0) {
		printf("? %s\n", words[0]);
	} else if (starts_with(words[0], "has")) {
		do_has(kind, &d, new_request(words[0], words[1], NULL));
	} else if (starts_with(words[0], "get") && n == 3) {
		do_get(kind, &d, new_request(words[0], words[1], words[2]));
	} else if (streq(words[0], "put-entry") && n == 3) {
		do_put_entry(&d, words[1], words[2]);
	} else {
		printf("? %s\n", words[0]);
	}
	fflush(stdout);
}

/* Begins what has come. False: nothing comes any more. */
static bool
read_lines(struct buf *in)
{
	ssize_t k;

	if (buf_reserve(in, 4096) < 0)
		abort();
	k = read(0, in->p + in->n, 4095);
	if (k <= 0)
		return false;
	in->n += (size_t)k;
	return true;
}

static void
begin_lines(struct buf *in)
{
	uint8_t *end;

	while (reading && in->n > 0 && (end = memchr(in->p, '\n', in->n)) != NULL) {
		*end = '\0';
		do_line((char *)in->p);
		buf_consume(in, (size_t)(end - in->p) + 1);
	}
}

int
main(int argc, char **argv)
{
	_cleanup_(buf_done) struct buf in = BUF_INIT;
	_cleanup_(freep) char *why = NULL;
	const char *url = getenv("PLACE");
	const struct store_in i = { .tmp = argc > 1 ? argv[1] : NULL };
	bool more = true;
	int r;

	log_init(argv[0], LOG_LEVEL_NONE);
	if (url != NULL && strpbrk(url, ", ") != NULL)
		r = open_chain(url, i.tmp, &why);
	else
		r = url == NULL ? -EINVAL : place_open(url, &i, &store, &why);
	if (r < 0) {
		printf("open error %s: %s\n", strerrorname_np(-r), why != NULL ? why : "");
		return 1;
	}
	for (;;) {
		struct pollfd p[2] = { { .fd = -1, .events = POLLIN },
			{ .fd = store_fd(store), .events = POLLIN } };

		if (open_requests == 0)
			reading = true;
		begin_lines(&in);
		if (!reading && open_requests == 0)
			continue;
		if (!more && open_requests == 0 && (!is_chain || chain_is_idle(store)))
			break;
		if (more && reading)
			p[0].fd = 0;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (p[0].revents != 0)
			more = read_lines(&in);
		if (p[1].revents != 0)
			store_work(store, 0);
	}
	store_close(store);
	return 0;
}
