/* libcurl, loaded when a store is opened that needs it (lib.h): most builds have none, and dray
 * runs where it is not installed. A table of pointers, rather than a module of our own that is
 * linked with libcurl: a module would have to share log, digests and stores with the program that
 * loads it, which then had to export them. The headers check the calls all the same. */
#ifndef DRAY_STORE_HTTP_CURL_H
#define DRAY_STORE_HTTP_CURL_H

/* its checks are macros of the functions' names, which are our members' */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "store/lib.h"

#define CURL_FUNCTIONS(X)           \
	X(curl_global_init)         \
	X(curl_version_info)        \
	X(curl_easy_init)           \
	X(curl_easy_cleanup)        \
	X(curl_easy_reset)          \
	X(curl_easy_setopt)         \
	X(curl_easy_getinfo)        \
	X(curl_easy_strerror)       \
	X(curl_slist_append)        \
	X(curl_slist_free_all)      \
	X(curl_multi_init)          \
	X(curl_multi_cleanup)       \
	X(curl_multi_setopt)        \
	X(curl_multi_add_handle)    \
	X(curl_multi_remove_handle) \
	X(curl_multi_info_read)     \
	X(curl_multi_socket_action) \
	X(curl_multi_strerror)

struct curl_lib {
	CURL_FUNCTIONS(LIB_POINTER)
};

/* 0; -ENOPKG, and in *ret_why what is missing (lib_load). *ret lives as long as the process. */
int curl_load(const struct curl_lib **ret, char **ret_why);

#endif
