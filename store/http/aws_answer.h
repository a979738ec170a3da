/* What AWS's services and those that speak like them say: keys, and errors. All of it comes from
 * the network: what is taken is bounded and of plain letters, since it becomes a part of headers
 * and sentences. */
#ifndef DRAY_STORE_HTTP_AWS_ANSWER_H
#define DRAY_STORE_HTTP_AWS_ANSWER_H

#include "common/base.h"

#define AWS_CODE_SIZE 64

/* What signs a request. */
struct aws_key {
	char *id, *secret;
	char *token;	  /* of keys for a time; NULL: none */
	uint64_t expires; /* seconds since 1970; 0: never */
};
void aws_key_done(struct aws_key *k); /* and empties it */

/* Copies: 0; -EINVAL: there is none, or not of plain letters; -ENOMEM. token may be NULL or "". */
int aws_key_set(struct aws_key *k, const char *id, const char *secret, const char *token);
/* "2026-11-30T12:00:00Z"; 0 or -EINVAL. */
int aws_parse_time(const char *text, uint64_t *ret);

/* The keys in an answer of STS (XML), or of a container's or an instance's service (JSON). 0;
 * -EBADMSG: there are none in it; -ENOMEM. */
int aws_answer_xml(const void *text, size_t n, struct aws_key *ret);
int aws_answer_json(const void *text, size_t n, struct aws_key *ret);
/* An error's code, "NoSuchBucket"; "" if there is none. */
void aws_answer_code(const void *text, size_t n, char ret[AWS_CODE_SIZE]);

#endif
