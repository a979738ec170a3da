/* A coordinator's page over a farm that is made up: as many workers as one likes, and crates,
 * faults and clients with hostile names.
 *
 *     showpage WORKERS [SECONDS]    prints the page's address, and shows for so long (600)
 */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "coordinator/page/page_priv.h"
#include "coordinator/server_priv.h"
#include "coordinator/view.h"

#define TAKEN_MS 20000
#define HISTORY 500 /* seconds that are behind it when it begins */

static const char *const crates[] = {
	"serde",
	"<script>document.title='bad'</script>",
	"<img src=x onerror=document.title='bad'>",
	"\"><svg/onload=document.title='bad'>",
	"a\xe2\x80\xaeyrrab", /* turns the direction of text */
	"{{constructor.constructor('document.title=1')()}}",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"no utf-8 \xff\xfe",
	"javascript:alert(1)",
	"tokio",
};

static struct server *
made_server(void)
{
	static struct server s;
	static struct allowed_key keys[2];
	char *error = NULL;
	struct sched_conf c;
	struct conf *conf = NULL;

	if (conf_parse("", 0, "none", &conf, &error) < 0 ||
		conf_set(conf, "coordinator.cache=no", &error) < 0 || peers_init(&s) < 0 ||
		door_new(&s.door) < 0)
		return NULL;
	s.conf = conf;
	s.now = s.began_ms = clock_mono_ms();
	s.keys.v = keys;
	s.tally = calloc(1, sizeof(*s.tally));
	snprintf(s.id.name, sizeof(s.id.name), "made-up");
	sched_conf_default(&c);
	if (!s.tally || sched_new(&c, &s.sched) < 0)
		return NULL;
	cache_start(&s);
	return &s;
}

static struct peer *
made_peer(struct server *s, uint32_t n, enum role role)
{
	struct wire_peer wire = { .id_len = 5, .fd = -1 };
	struct peer *p;

	memcpy(wire.id, &n, sizeof(n));
	wire.id[4] = role == ROLE_WORKER;
	p = peer_add(s, &wire);
	if (p)
		p->role = role;
	return p;
}

static bool
add_worker(struct server *s, uint32_t n)
{
	struct peer *p = made_peer(s, n, ROLE_WORKER);
	struct sched_offer offer = { .text = "1.95.0 rustc" };
	char name[32];
	struct sched_worker_info info = { .name = name,
		.endpoint = "tcp://127.0.0.1:9",
		.curve = "",
		.offers = &offer,
		.n_offers = 1,
		.slots = 8 + n % 3 * 8,
		.cores = 16,
		.glibc = 36 };

	if (!p)
		return false;
	info.tag = p->serial;
	snprintf(name, sizeof(name), "build-%04u", n);
	memset(offer.toolchain.b, 7, DIGEST_SIZE);
	if (sched_worker_set(s->sched, &info, s->now, &p->worker) < 0)
		return false;
	p->state = ADMIT_REGISTERED;
	p->heard_ms = s->now;
	p->did.since_ms = s->now;
	p->did.ended = 1000 + n * 7 % 500;
	p->did.load_percent = n * 13 % 120;
	p->did.memory_available = (uint64_t)(4 + n % 60) << 30;
	return true;
}

static void
add_job(struct server *s, struct peer *p, uint32_t n)
{
	struct sched_job_info info = {
		.owner = p->serial, .account = peer_account(s, p), .may_wait = true
	};
	char crate[80], kind[] = "lib";
	struct sched_action a;
	Dray__JobRequest m;

	memcpy(info.id.b, &n, sizeof(n));
	memset(info.toolchain.b, 7, DIGEST_SIZE);
	snprintf(crate, sizeof(crate), "%s", crates[n % ARRAY_LEN(crates)]);
	dray__job_request__init(&m);
	m.crate = crate;
	m.kind = kind;
	cache_job_asked(s, p, &info.id, &m);
	if (sched_job_add(s->sched, &info, s->now) < 0)
		return;
	while (sched_next_action(s->sched, &a))
		if (a.type == SCHED_PLACE)
			(void)sched_job_started(s->sched, a.worker, &a.job, s->now);
}

/* What would have happened in a second, at that moment. */
static void
happen(struct server *s, uint32_t n, uint64_t at_ms)
{
	struct tally_job j = { .at_ms = at_ms, .outcome = TALLY_COMPILED };

	for (unsigned i = 0; i < 12; i++) {
		snprintf(j.crate, sizeof(j.crate), "%s", crates[(n + i) % ARRAY_LEN(crates)]);
		snprintf(j.kind, sizeof(j.kind), "lib");
		snprintf(j.namespace, sizeof(j.namespace), "%s", i % 3 ? "team" : "ci");
		snprintf(j.worker, sizeof(j.worker), "build-%04u", i);
		j.wall_us = 100000 + (n * 7919 + i * 104729) % 9000000;
		j.cpu_us = j.wall_us * 9 / 10;
		tally_placed(s->tally, j.wall_us / 20);
		tally_ended(s->tally, &j);
		tally_looked(s->tally, j.namespace, i % 4 ? TALLY_DISK : TALLY_MISS, 2000,
			i % 4 ? 1500000 : 0);
	}
	if (n % 40 == 0)
		tally_failed(s->tally, (enum tally_cause)(n / 40 % TALLY_N_CAUSES),
			&(struct tally_words){ .crate = crates[n / 40 % ARRAY_LEN(crates)],
				.worker = "build-0007",
				.text = "<b onclick=alert(1)>no space left on device</b>" },
			at_ms);
	s->took += 3000000 + n * 7919 % 5000000;
}

static bool
publish(struct server *s, struct page *page, uint32_t n, uint64_t at_ms)
{
	struct page_shot *shot;

	if (page_shot_new(&shot) < 0 ||
		view_new(s, VIEW_WORKERS | VIEW_JOBS | VIEW_CLIENTS, &shot->view) < 0)
		return false;
	shot->view->at_ms = at_ms;
	shot->view->desk.bytes = (uint64_t)n * 20000000 + n * 104729 % 9000000;
	shot->view->has_cache = true;
	shot->tally = *s->tally;
	shot->made_ms = clock_mono_ms();
	shot->taken_bytes = s->took;
	shot->ready = true;
	page_publish(page, shot);
	return true;
}

/* Waits until the page's thread has the shot. False: it never does. */
static bool
is_taken(struct page *page)
{
	uint64_t until = clock_mono_ms() + TAKEN_MS;
	bool taken = false;

	while (!taken && clock_mono_ms() < until) {
		pthread_mutex_lock(&page->lock);
		taken = !page->newest;
		pthread_mutex_unlock(&page->lock);
		if (!taken)
			poll(NULL, 0, 1);
	}
	return taken;
}

int
main(int argc, char **argv)
{
	uint32_t workers = argc > 1 ? (uint32_t)atoi(argv[1]) : 10, n = 0;
	uint32_t until = HISTORY + (argc > 2 ? (uint32_t)atoi(argv[2]) : 600);
	struct server *s = made_server();
	struct page *page = NULL;
	char *error = NULL;
	struct peer *client;

	if (!s || page_start("127.0.0.1:*", NULL, &page, &error) < 0) {
		fprintf(stderr, "showpage: %s\n", error ? error : "out of memory");
		return 1;
	}
	for (uint32_t i = 0; i < workers; i++)
		if (!add_worker(s, i))
			return 1;
	client = made_peer(s, 1, ROLE_CLIENT);
	for (uint32_t i = 0; client && i < MIN2(workers * 20, 3000u); i++)
		add_job(s, client, i);
	/* the page's thread takes each before the next comes, or misses a second of the past */
	for (; n < HISTORY; n++) {
		uint64_t at_ms = clock_wall_ms() - (uint64_t)(HISTORY - n) * 1000;

		happen(s, n, at_ms);
		if (!publish(s, page, n, at_ms))
			return 1;
		if (!is_taken(page))
			return 1;
	}
	printf("%s\n", page_url(page));
	fflush(stdout);
	for (; n < until; n++) {
		s->now = clock_mono_ms();
		happen(s, n, clock_wall_ms());
		if (!publish(s, page, n, clock_wall_ms()))
			return 1;
		sleep(1);
	}
	return 0;
}
