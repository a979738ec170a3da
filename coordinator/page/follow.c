/* Those that follow. Invariant: one without anything to send is suspended, and is in the list until
 * its response is freed; libmicrohttpd frees that when the connection is gone. */
#include "config.h"

#include "coordinator/page/follow.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/clock.h"

struct page_follower {
	TAILQ_ENTRY(page_follower) link;
	struct page *page;
	struct MHD_Connection *connection;
	struct buf text;      /* of the event that is being sent */
	size_t sent;	      /* of it */
	uint64_t shot, fault; /* the numbers of the last ones that it was told */
	bool suspended, ends;
	uint64_t read_ms; /* when it last took something */
};

/* "event: NAME\nid: N\ndata: BODY\n\n": a body is JSON without line ends. */
static void
add_event(struct buf *to, const char *name, uint64_t id, const struct buf *body)
{
	if (body->n &&
		buf_addf(to, "event: %s\nid: %llu\ndata: ", name, (unsigned long long)id) == 0 &&
		buf_add(to, body->p, body->n) == 0)
		(void)buf_adds(to, "\n\n");
}

static void
add_faults(struct page_follower *f)
{
	const struct tally *t = &f->page->shot->tally;
	uint64_t oldest = t->n_faults > TALLY_FAULTS ? t->n_faults - TALLY_FAULTS : 0;

	for (uint64_t i = MAX2(f->fault, oldest); i < t->n_faults; i++) {
		_cleanup_(buf_done) struct buf body = BUF_INIT;

		if (api_write_fault(&t->fault[i % TALLY_FAULTS], &body) == 0)
			add_event(&f->text, "fault", i + 1, &body);
	}
	f->fault = t->n_faults;
}

/* The next text, if there is something that it was not told. */
static bool
has_more(struct page_follower *f)
{
	struct page *p = f->page;

	if (f->sent < f->text.n)
		return true;
	f->text.n = f->sent = 0;
	if (!p->shot || f->shot == p->shots)
		return false;
	f->shot = p->shots;
	add_faults(f);
	if (page_book(p, API_STATUS))
		add_event(&f->text, "status", f->fault, &p->book[API_STATUS].text);
	return f->text.n > 0;
}

/* Of libmicrohttpd: as much as it has room for. */
static ssize_t
take_text(void *cls, uint64_t pos, char *out, size_t max)
{
	struct page_follower *f = cls;
	size_t n;

	(void)pos;
	f->read_ms = clock_mono_ms();
	if (f->ends || atomic_load(&f->page->ends))
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!has_more(f)) {
		f->suspended = true;
		MHD_suspend_connection(f->connection);
		return 0;
	}
	n = MIN2(max, f->text.n - f->sent);
	memcpy(out, f->text.p + f->sent, n);
	f->sent += n;
	return (ssize_t)n;
}

static void
follower_free(void *cls)
{
	struct page_follower *f = cls;

	TAILQ_REMOVE(&f->page->followers, f, link);
	f->page->counts.followers--;
	buf_done(&f->text);
	free(f);
}

static int
fd_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		c, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

/* A connection that follows has limits of its own. */
static void
free_of_limits(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct page_connection *n = info ? info->socket_context : NULL;
	int size = FOLLOW_UNREAD;

	if (n)
		n->follows = true;
	MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
	setsockopt(fd_of(c), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

bool
follow_begin(struct page *p, struct MHD_Connection *c, struct MHD_Response **ret)
{
	struct page_follower *f;

	if (p->counts.followers >= FOLLOWERS_MAX)
		return false;
	f = calloc(1, sizeof(*f));
	*ret = NULL;
	if (!f)
		return true;
	f->page = p;
	f->connection = c;
	f->read_ms = clock_mono_ms();
	/* what was before is in /faults */
	f->fault = p->shot ? p->shot->tally.n_faults : 0;
	*ret = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, 8192, take_text, f, follower_free);
	if (!*ret) {
		free(f);
		return true;
	}
	TAILQ_INSERT_TAIL(&p->followers, f, link);
	p->counts.followers++;
	free_of_limits(c);
	return true;
}

static void
resume(struct page_follower *f)
{
	if (!f->suspended)
		return;
	f->suspended = false;
	MHD_resume_connection(f->connection);
}

void
follow_wake(struct page *p)
{
	struct page_follower *f;

	TAILQ_FOREACH(f, &p->followers, link)
	resume(f);
}

void
follow_sweep(struct page *p, uint64_t now)
{
	struct page_follower *f;

	TAILQ_FOREACH(f, &p->followers, link)
	{
		if (f->suspended || f->ends || now - f->read_ms <= FOLLOW_STALL_MS)
			continue;
		f->ends = true;
		p->counts.followers_dropped++;
		/* libmicrohttpd sees the end, and closes it */
		shutdown(fd_of(f->connection), SHUT_RDWR);
	}
}

void
follow_end_all(struct page *p)
{
	struct page_follower *f;

	TAILQ_FOREACH(f, &p->followers, link)
	{
		f->ends = true;
		resume(f);
	}
}
