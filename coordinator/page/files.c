/* The files of web/, as C strings (local.am makes those). */
#include "config.h"

#include "coordinator/page/files.h"

static const char page_html[] =
#include "coordinator/page/web/page.html.inc"
	;
static const char page_css[] =
#include "coordinator/page/web/page.css.inc"
	;
static const char page_js[] =
#include "coordinator/page/web/page.js.inc"
	;
static const char icon_svg[] =
#include "coordinator/page/web/icon.svg.inc"
	;
static const char schema_json[] =
#include "coordinator/page/web/schema.json.inc"
	;
/* uPlot wants its licence with each copy of it. */
static const char uplot_js[] = "/*\n"
#include "coordinator/page/web/uplot/LICENSE.inc"
			       "*/\n"
#include "coordinator/page/web/uplot/uPlot.js.inc"
	;
static const char uplot_css[] =
#include "coordinator/page/web/uplot/uPlot.css.inc"
	;

#define FILE_OF(path, type, text)                  \
	{                                          \
		path, type, text, sizeof(text) - 1 \
	}

const struct page_file *
page_file_find(const char *path)
{
	static const struct page_file files[] = {
		FILE_OF("/", "text/html; charset=utf-8", page_html),
		FILE_OF("/page.css", "text/css; charset=utf-8", page_css),
		FILE_OF("/page.js", "text/javascript; charset=utf-8", page_js),
		FILE_OF("/icon.svg", "image/svg+xml", icon_svg),
		FILE_OF("/uPlot.js", "text/javascript; charset=utf-8", uplot_js),
		FILE_OF("/uPlot.css", "text/css; charset=utf-8", uplot_css),
		FILE_OF("/api/v1/schema", "application/schema+json", schema_json),
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (streq(files[i].path, path))
			return &files[i];
	return NULL;
}
