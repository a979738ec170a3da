/* The files of the web page, which are in the program. */
#ifndef DRAY_COORDINATOR_PAGE_FILES_H
#define DRAY_COORDINATOR_PAGE_FILES_H

#include "common/base.h"

struct page_file {
	const char *path, *type;
	const char *text;
	size_t n;
};

/* The one of that path, or NULL. */
const struct page_file *page_file_find(const char *path);

#endif
