/* Keys for S3, from where users of AWS expect them, in this order; the first that is configured
 * counts, and where it gives none nothing after it is asked:
 *
 *   1  the profile that the URL names: that one only
 *   2  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   3  AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN (AssumeRoleWithWebIdentity)
 *   4  the profile AWS_PROFILE, or "default" if that has keys, in AWS_SHARED_CREDENTIALS_FILE and
 *      AWS_CONFIG_FILE, else ~/.aws/credentials and ~/.aws/config: keys, or a role by web identity
 *   5  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or ..._FULL_URI (ECS, EKS)
 *   6  the instance's role (IMDSv2), unless AWS_EC2_METADATA_DISABLED is true
 *
 * Variables are read once, by environ_get; files when keys are wanted. Keys for a time are got anew
 * some minutes before it ends; when that fails, the old ones are used to their end. */
#ifndef DRAY_STORE_HTTP_AWS_KEYS_H
#define DRAY_STORE_HTTP_AWS_KEYS_H

#include "store/http/aws_answer.h"
#include "store/http/web.h"

struct aws_keys;

struct aws_keys_in {
	const char *profile; /* NULL: none is named */
	const char *region;  /* NULL: not known */
};

/* Nothing is looked for yet. 0 or -ENOMEM. */
int aws_keys_new(const struct aws_keys_in *in, struct aws_keys **ret);
/* What requests are made by; it outlives k. Before keys are wanted. */
void aws_keys_use(struct aws_keys *k, struct web *w);
/* NULL is fine. Nobody is told any more. */
void aws_keys_free(struct aws_keys *k);

/* Told once, by web_work. */
typedef void (*aws_keys_fn)(void *arg);

/* 0: *ret, until the next call of this or of web_work. -EINPROGRESS: they are being got, and fn is
 * called; then ask again. Another -errno: there are none; aws_keys_why says why. That is remembered
 * for half a minute. */
int aws_keys_get(struct aws_keys *k, aws_keys_fn fn, void *arg, const struct aws_key **ret);
/* The keys are not taken (any more): whether others may be got. False: they are fresh. */
bool aws_keys_refused(struct aws_keys *k);
/* A sentence without secrets. */
const char *aws_keys_why(const struct aws_keys *k);
/* The region by variables and by the profile; NULL: none is set. Without waiting. */
const char *aws_keys_region(struct aws_keys *k);

#endif
