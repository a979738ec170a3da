/* The options of rustc, as tables. Invariant: an option is ACT_FINE only when it changes nothing
 * but what is in the argument itself, the same way on every machine, and makes rustc read and write
 * no other file. What is not in a table is not understood. */
#include "config.h"

#include "rustc/option_tables.h"

#include "rustc/call.h"

#define FIELD(f) offsetof(struct rustc_call, f)

/* rustc --help -v, 1.95 */
static const struct option_row options[] = {
	{ "h", false, false, ACT_PROBE, 0, NULL },
	{ "help", false, false, ACT_PROBE, 0, NULL },
	{ "V", false, false, ACT_PROBE, 0, NULL },
	{ "version", false, false, ACT_PROBE, 0, NULL },
	{ "explain", true, true, ACT_PROBE, 0, NULL },
	{ "print", true, false, ACT_PRINT, 0, NULL },
	{ "v", false, false, ACT_FINE, 0, NULL },
	{ "verbose", false, false, ACT_FINE, 0, NULL },
	{ "cfg", true, false, ACT_FINE, 0, NULL },
	{ "check-cfg", true, false, ACT_FINE, 0, NULL },
	{ "L", true, false, ACT_SEARCH, 0, NULL },
	{ "l", true, false, ACT_NATIVE, 0, NULL },
	{ "crate-type", true, false, ACT_CRATE_TYPE, 0, NULL },
	{ "crate-name", true, true, ACT_STR, FIELD(crate_name), NULL },
	{ "edition", true, true, ACT_FINE, 0, NULL },
	{ "emit", true, false, ACT_EMIT, 0, NULL },
	{ "g", false, false, ACT_FINE, 0, NULL },
	{ "O", false, false, ACT_FINE, 0, NULL },
	{ "o", true, true, ACT_HOME, 0, "explicit output path (-o)" },
	{ "out-dir", true, true, ACT_STR, FIELD(out_dir), NULL },
	{ "test", false, true, ACT_TEST, 0, NULL },
	{ "target", true, true, ACT_STR, FIELD(target), NULL },
	{ "A", true, false, ACT_LINT, 0, NULL },
	{ "allow", true, false, ACT_LINT, 0, NULL },
	{ "W", true, false, ACT_LINT, 0, NULL },
	{ "warn", true, false, ACT_LINT, 0, NULL },
	{ "D", true, false, ACT_LINT, 0, NULL },
	{ "deny", true, false, ACT_LINT, 0, NULL },
	{ "F", true, false, ACT_LINT, 0, NULL },
	{ "forbid", true, false, ACT_LINT, 0, NULL },
	{ "force-warn", true, false, ACT_LINT, 0, NULL },
	{ "cap-lints", true, false, ACT_FINE, 0, NULL },
	{ "C", true, false, ACT_CODEGEN, 0, NULL },
	{ "codegen", true, false, ACT_CODEGEN, 0, NULL },
	{ "Z", true, false, ACT_UNSTABLE, 0, NULL },
	{ "extern", true, false, ACT_EXTERN, 0, NULL },
	{ "sysroot", true, true, ACT_STR, FIELD(sysroot), NULL },
	{ "error-format", true, true, ACT_ERROR_FORMAT, 0, NULL },
	{ "json", true, false, ACT_JSON, 0, NULL },
	{ "color", true, true, ACT_FINE, 0, NULL },
	{ "diagnostic-width", true, true, ACT_FINE, 0, NULL },
	{ "remap-path-prefix", true, false, ACT_FINE, 0, NULL },
	{ "remap-path-scope", true, false, ACT_FINE, 0, NULL },
};

_Static_assert(ARRAY_LEN(options) <= 64, "option_index: a bit for each row");

/* rustc -C help, 1.95 to 1.98; '_' and '-' are the same in a key. */
static const struct codegen_row codegen[] = {
	{ "ar", ACT_FINE, 0, NULL },
	{ "code-model", ACT_FINE, 0, NULL },
	{ "codegen-units", ACT_FINE, 0, NULL },
	{ "collapse-macro-debuginfo", ACT_FINE, 0, NULL },
	{ "control-flow-guard", ACT_FINE, 0, NULL },
	{ "debug-assertions", ACT_FINE, 0, NULL },
	{ "debuginfo", ACT_FINE, 0, NULL },
	{ "default-linker-libraries", ACT_FINE, 0, NULL },
	/* run by the compiler itself */
	{ "dlltool", ACT_HOME, 0, "-C dlltool names a program" },
	{ "dwarf-version", ACT_FINE, 0, NULL },
	{ "embed-bitcode", ACT_FINE, 0, NULL },
	{ "extra-filename", ACT_STR, FIELD(extra_filename), NULL },
	{ "force-frame-pointers", ACT_FINE, 0, NULL },
	{ "force-unwind-tables", ACT_FINE, 0, NULL },
	{ "help", ACT_PROBE, 0, NULL },
	{ "incremental", ACT_STR, FIELD(incremental), NULL },
	{ "inline-threshold", ACT_FINE, 0, NULL },
	{ "instrument-coverage", ACT_FINE, 0, NULL },
	{ "jump-tables", ACT_FINE, 0, NULL },
	{ "link-arg", ACT_LINK_ARG, 0, NULL },
	{ "link-args", ACT_LINK_ARGS, 0, NULL },
	{ "link-dead-code", ACT_FINE, 0, NULL },
	{ "link-self-contained", ACT_PROJECT, 0, NULL },
	{ "linker", ACT_LINKER, FIELD(linker), NULL },
	{ "linker-features", ACT_PROJECT, 0, NULL },
	{ "linker-flavor", ACT_FLAVOR, FIELD(flavor), NULL },
	/* of a linked unit the objects are LLVM's own form, in which a linker takes none of a
	 * worker's */
	{ "linker-plugin-lto", ACT_HOME_LINK, 0, "-C linker-plugin-lto" },
	{ "llvm-args", ACT_LLVM_ARGS, 0, "-C llvm-args that dray does not know" },
	{ "lto", ACT_LTO, 0, NULL },
	{ "metadata", ACT_FINE, 0, NULL },
	{ "no-prepopulate-passes", ACT_FINE, 0, NULL },
	{ "no-redzone", ACT_FINE, 0, NULL },
	{ "no-stack-check", ACT_FINE, 0, NULL },
	{ "no-vectorize-loops", ACT_FINE, 0, NULL },
	{ "no-vectorize-slp", ACT_FINE, 0, NULL },
	{ "opt-level", ACT_FINE, 0, NULL },
	{ "overflow-checks", ACT_FINE, 0, NULL },
	{ "panic", ACT_FINE, 0, NULL },
	{ "passes", ACT_PASSES, 0, "-C passes that dray does not know" },
	{ "prefer-dynamic", ACT_FINE, 0, NULL },
	{ "profile-generate", ACT_FINE, 0, NULL },
	{ "profile-use", ACT_INPUT, 0, NULL },
	{ "relocation-model", ACT_FINE, 0, NULL },
	{ "relro-level", ACT_FINE, 0, NULL },
	{ "remark", ACT_FINE, 0, NULL },
	/* told to the linker only. The path is relative to where the dependencies are, and in a job
	 * they are elsewhere */
	{ "rpath", ACT_HOME_LINK, 0, "-C rpath" },
	/* it leaves a directory with a name drawn at random */
	{ "save-temps", ACT_HOME_SWITCH, 0, "save-temps" },
	{ "soft-float", ACT_FINE, 0, NULL },
	{ "split-debuginfo", ACT_FINE, 0, NULL },
	{ "strip", ACT_FINE, 0, NULL },
	{ "symbol-mangling-version", ACT_FINE, 0, NULL },
	{ "target-cpu", ACT_CPU, 0, NULL },
	{ "target-feature", ACT_FINE, 0, NULL },
	{ "unsafe-allow-abi-mismatch", ACT_FINE, 0, NULL },
};

/* rustc -Z help, 1.96 to 1.98 and nightly's 1.97: those that change, deterministically, what is
 * made or said, and neither read nor write files but where a row says so. Left out: what measures
 * or dumps, a codegen-backend other than llvm (its library is no part of a toolchain's id),
 * binary-dep-depinfo (names of dependencies would go into the .d file), no-link, link-only. A call
 * with one of these is the real compiler's. */
static const struct codegen_row unstable[] = {
	{ "allow-features", ACT_FINE, 0, NULL },
	{ "allow-partial-mitigations", ACT_FINE, 0, NULL },
	{ "always-encode-mir", ACT_FINE, 0, NULL },
	{ "annotate-moves", ACT_FINE, 0, NULL },
	{ "assume-incomplete-release", ACT_FINE, 0, NULL },
	{ "assumptions-on-binders", ACT_FINE, 0, NULL },
	{ "box-noalias", ACT_FINE, 0, NULL },
	{ "branch-protection", ACT_FINE, 0, NULL },
	{ "cf-protection", ACT_FINE, 0, NULL },
	{ "check-cfg-all-expected", ACT_FINE, 0, NULL },
	{ "checksum-hash-algorithm", ACT_FINE, 0, NULL },
	{ "codegen-backend", ACT_BACKEND, 0, NULL },
	{ "codegen-emit-retag", ACT_FINE, 0, NULL },
	{ "codegen-source-order", ACT_FINE, 0, NULL },
	{ "contract-checks", ACT_FINE, 0, NULL },
	{ "coverage-options", ACT_FINE, 0, NULL },
	{ "crate-attr", ACT_CRATE_ATTR, 0, NULL },
	{ "cross-crate-inline-threshold", ACT_FINE, 0, NULL },
	{ "debug-info-for-profiling", ACT_FINE, 0, NULL },
	{ "debug-info-type-line-numbers", ACT_FINE, 0, NULL },
	{ "debuginfo-compression", ACT_FINE, 0, NULL },
	{ "debuginfo-for-profiling", ACT_FINE, 0, NULL },
	{ "deduplicate-diagnostics", ACT_FINE, 0, NULL },
	{ "default-visibility", ACT_FINE, 0, NULL },
	{ "deny-partial-mitigations", ACT_FINE, 0, NULL },
	{ "dep-info-omit-d-target", ACT_FINE, 0, NULL },
	{ "direct-access-external-data", ACT_FINE, 0, NULL },
	{ "disable-fast-paths", ACT_FINE, 0, NULL },
	{ "disable-incr-comp-backend-caching", ACT_FINE, 0, NULL },
	{ "dual-proc-macros", ACT_FINE, 0, NULL },
	{ "dwarf-version", ACT_FINE, 0, NULL },
	{ "dylib-lto", ACT_FINE, 0, NULL },
	{ "ehcont-guard", ACT_FINE, 0, NULL },
	{ "embed-metadata", ACT_FINE, 0, NULL },
	{ "embed-source", ACT_FINE, 0, NULL },
	{ "emit-stack-sizes", ACT_FINE, 0, NULL },
	{ "emscripten-wasm-eh", ACT_FINE, 0, NULL },
	{ "enforce-type-length-limit", ACT_FINE, 0, NULL },
	{ "experimental-default-bounds", ACT_FINE, 0, NULL },
	{ "export-executable-symbols", ACT_FINE, 0, NULL },
	{ "external-clangrt", ACT_FINE, 0, NULL },
	{ "extra-const-ub-checks", ACT_FINE, 0, NULL },
	{ "fewer-names", ACT_FINE, 0, NULL },
	{ "fixed-x18", ACT_FINE, 0, NULL },
	{ "flatten-format-args", ACT_FINE, 0, NULL },
	{ "fmt-debug", ACT_FINE, 0, NULL },
	{ "force-unstable-if-unmarked", ACT_FINE, 0, NULL },
	{ "function-return", ACT_FINE, 0, NULL },
	{ "function-sections", ACT_FINE, 0, NULL },
	{ "future-incompat-test", ACT_FINE, 0, NULL },
	{ "has-thread-local", ACT_FINE, 0, NULL },
	{ "help", ACT_PROBE, 0, NULL },
	{ "higher-ranked-assumptions", ACT_FINE, 0, NULL },
	{ "hint-mostly-unused", ACT_FINE, 0, NULL },
	{ "hint-msrv", ACT_FINE, 0, NULL },
	{ "human-readable-cgu-names", ACT_FINE, 0, NULL },
	{ "identify-regions", ACT_FINE, 0, NULL },
	{ "ignore-directory-in-diagnostics-source-blocks", ACT_FINE, 0, NULL },
	{ "indirect-branch-cs-prefix", ACT_FINE, 0, NULL },
	{ "inline-llvm", ACT_FINE, 0, NULL },
	{ "inline-mir", ACT_FINE, 0, NULL },
	{ "inline-mir-forwarder-threshold", ACT_FINE, 0, NULL },
	{ "inline-mir-hint-threshold", ACT_FINE, 0, NULL },
	{ "inline-mir-preserve-debug", ACT_FINE, 0, NULL },
	{ "inline-mir-threshold", ACT_FINE, 0, NULL },
	{ "instrument-mcount", ACT_FINE, 0, NULL },
	{ "instrument-xray", ACT_FINE, 0, NULL },
	{ "internal-testing-features", ACT_FINE, 0, NULL },
	{ "large-data-threshold", ACT_FINE, 0, NULL },
	{ "layout-seed", ACT_FINE, 0, NULL },
	{ "link-directives", ACT_FINE, 0, NULL },
	{ "link-native-libraries", ACT_FINE, 0, NULL },
	{ "lint-llvm-ir", ACT_FINE, 0, NULL },
	{ "lint-mir", ACT_FINE, 0, NULL },
	{ "llvm-module-flag", ACT_FINE, 0, NULL },
	{ "llvm-writable", ACT_FINE, 0, NULL },
	{ "location-detail", ACT_FINE, 0, NULL },
	{ "macro-backtrace", ACT_FINE, 0, NULL },
	{ "maximal-hir-to-mir-coverage", ACT_FINE, 0, NULL },
	{ "merge-functions", ACT_FINE, 0, NULL },
	{ "min-function-alignment", ACT_FINE, 0, NULL },
	{ "min-recursion-limit", ACT_FINE, 0, NULL },
	{ "mir-emit-retag", ACT_FINE, 0, NULL },
	{ "mir-enable-passes", ACT_FINE, 0, NULL },
	{ "mir-opt-level", ACT_FINE, 0, NULL },
	{ "mir-preserve-ub", ACT_FINE, 0, NULL },
	{ "mir-strip-debuginfo", ACT_FINE, 0, NULL },
	{ "move-size-limit", ACT_FINE, 0, NULL },
	{ "mutable-noalias", ACT_FINE, 0, NULL },
	{ "namespaced-crates", ACT_FINE, 0, NULL },
	{ "next-solver", ACT_FINE, 0, NULL },
	{ "no-generate-arange-section", ACT_FINE, 0, NULL },
	{ "no-implied-bounds-compat", ACT_FINE, 0, NULL },
	{ "no-leak-check", ACT_FINE, 0, NULL },
	{ "no-parallel-backend", ACT_FINE, 0, NULL },
	{ "no-profiler-runtime", ACT_FINE, 0, NULL },
	{ "no-trait-vptr", ACT_FINE, 0, NULL },
	{ "no-unique-section-names", ACT_FINE, 0, NULL },
	{ "packed-bundled-libs", ACT_FINE, 0, NULL },
	{ "packed-stack", ACT_FINE, 0, NULL },
	{ "panic-abort-tests", ACT_FINE, 0, NULL },
	{ "panic-in-drop", ACT_FINE, 0, NULL },
	{ "patchable-function-entry", ACT_FINE, 0, NULL },
	{ "plt", ACT_FINE, 0, NULL },
	{ "polonius", ACT_FINE, 0, NULL },
	{ "pre-link-arg", ACT_LINK_ARG, 0, NULL },
	{ "pre-link-args", ACT_LINK_ARGS, 0, NULL },
	{ "precise-enum-drop-elaboration", ACT_FINE, 0, NULL },
	{ "proc-macro-backtrace", ACT_FINE, 0, NULL },
	{ "profile-sample-use", ACT_INPUT, 0, NULL },
	{ "profiler-runtime", ACT_FINE, 0, NULL },
	{ "ptrauth-elf-got", ACT_FINE, 0, NULL },
	{ "randomize-layout", ACT_FINE, 0, NULL },
	{ "reg-struct-return", ACT_FINE, 0, NULL },
	{ "regparm", ACT_FINE, 0, NULL },
	{ "relax-elf-relocations", ACT_FINE, 0, NULL },
	{ "remap-cwd-prefix", ACT_FINE, 0, NULL },
	{ "renormalize-rigid-aliases", ACT_FINE, 0, NULL },
	{ "retpoline", ACT_FINE, 0, NULL },
	{ "retpoline-external-thunk", ACT_FINE, 0, NULL },
	{ "sanitizer", ACT_FINE, 0, NULL },
	{ "sanitizer-cfi-canonical-jump-tables", ACT_FINE, 0, NULL },
	{ "sanitizer-cfi-generalize-pointers", ACT_FINE, 0, NULL },
	{ "sanitizer-cfi-normalize-integers", ACT_FINE, 0, NULL },
	{ "sanitizer-kcfi-arity", ACT_FINE, 0, NULL },
	{ "sanitizer-memory-track-origins", ACT_FINE, 0, NULL },
	{ "sanitizer-recover", ACT_FINE, 0, NULL },
	{ "saturating-float-casts", ACT_FINE, 0, NULL },
	{ "share-generics", ACT_FINE, 0, NULL },
	{ "small-data-threshold", ACT_FINE, 0, NULL },
	{ "span-debug", ACT_FINE, 0, NULL },
	{ "split-dwarf-inlining", ACT_FINE, 0, NULL },
	{ "split-dwarf-kind", ACT_HOME_LINK, 0, "-Z split-dwarf-kind" }, /* single: objects stay */
	{ "split-lto-unit", ACT_FINE, 0, NULL },
	{ "src-hash-algorithm", ACT_FINE, 0, NULL },
	{ "stack-protector", ACT_FINE, 0, NULL },
	{ "staticlib-allow-rdylib-deps", ACT_FINE, 0, NULL },
	{ "staticlib-hide-internal-symbols", ACT_FINE, 0, NULL },
	{ "staticlib-prefer-dynamic", ACT_FINE, 0, NULL },
	{ "staticlib-rename-internal-symbols", ACT_FINE, 0, NULL },
	{ "strict-init-checks", ACT_FINE, 0, NULL },
	{ "teach", ACT_FINE, 0, NULL },
	{ "terminal-urls", ACT_FINE, 0, NULL },
	{ "thinlto", ACT_FINE, 0, NULL },
	{ "threads", ACT_FINE, 0, NULL },
	{ "tiny-const-eval-limit", ACT_FINE, 0, NULL },
	{ "tls-model", ACT_FINE, 0, NULL },
	{ "track-diagnostics", ACT_FINE, 0, NULL },
	{ "translate-remapped-path-to-local-path", ACT_FINE, 0, NULL },
	{ "trap-unreachable", ACT_FINE, 0, NULL },
	{ "trim-diagnostic-paths", ACT_FINE, 0, NULL },
	{ "tune-cpu", ACT_CPU, 0, NULL },
	{ "typing-mode-borrowck", ACT_FINE, 0, NULL },
	{ "typing-mode-post-typeck-until-borrowck", ACT_FINE, 0, NULL },
	{ "ub-checks", ACT_FINE, 0, NULL },
	{ "ui-testing", ACT_FINE, 0, NULL },
	{ "uninit-const-chunk-threshold", ACT_FINE, 0, NULL },
	{ "unleash-the-miri-inside-of-you", ACT_FINE, 0, NULL },
	{ "unsound-mir-opts", ACT_FINE, 0, NULL },
	{ "unstable-options", ACT_FINE, 0, NULL },
	{ "use-ctors-section", ACT_FINE, 0, NULL },
	{ "use-sync-unwind", ACT_FINE, 0, NULL },
	{ "validate-mir", ACT_FINE, 0, NULL },
	{ "verbose-asm", ACT_FINE, 0, NULL },
	{ "verbose-internals", ACT_FINE, 0, NULL },
	{ "verify-llvm-ir", ACT_FINE, 0, NULL },
	{ "virtual-function-elimination", ACT_FINE, 0, NULL },
	{ "wasi-exec-model", ACT_FINE, 0, NULL },
	{ "wasm-c-abi", ACT_FINE, 0, NULL },
};

const struct option_row *
option_find(const char *name, size_t n, bool is_short)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0 &&
			(n == 1) == is_short)
			return &options[i];
	return NULL;
}

unsigned
option_index(const struct option_row *row)
{
	return (unsigned)(row - options);
}

static const struct codegen_row *
find_key(const struct codegen_row *rows, size_t n_rows, const char *name, size_t n)
{
	for (size_t i = 0; i < n_rows; i++) {
		size_t k = 0;

		while (k < n && rows[i].name[k] == (name[k] == '_' ? '-' : name[k]))
			k++;
		if (k == n && !rows[i].name[k])
			return &rows[i];
	}
	return NULL;
}

const struct codegen_row *
codegen_find(const char *name, size_t n)
{
	return find_key(codegen, ARRAY_LEN(codegen), name, n);
}

const struct codegen_row *
unstable_find(const char *name, size_t n)
{
	return find_key(unstable, ARRAY_LEN(unstable), name, n);
}

/* Beginnings of switches, after their dashes. */
static const char *const llvm_switches[] = { "aarch64-", "align-all-", "arm-", "asan-", "disable-",
	"enable-", "fast-isel", "force-vector-", "fp-contract", "hot-cold-split", "hwasan-",
	"import-", "inline-", "inlinehint-", "inlinecold-", "mergefunc-", "min-jump-table-entries",
	"msan-", "regalloc", "riscv-", "sanitizer-coverage-", "tail-merge-", "tsan-", "unroll-",
	"vectorize-", "vectorizer-", "wasm-", "x86-" };

/* In a switch's name or value: it reads or writes a file, or says something. */
static const char *const not_pure[] = { "/", "file", "print", "dump", "output", "debug", "remark",
	"stats", "view", "trace", "time" };

static bool
is_pure(const char *word, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(not_pure); i++)
		if (memmem(word, n, not_pure[i], strlen(not_pure[i])))
			return false;
	return true;
}

static bool
llvm_arg_fine(const char *word, size_t n)
{
	size_t dashes = strspn(word, "-");

	if (dashes == 0 || dashes > 2 || dashes >= n || !is_pure(word, n))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(llvm_switches); i++) {
		size_t k = strlen(llvm_switches[i]);

		if (n - dashes >= k && memcmp(word + dashes, llvm_switches[i], k) == 0)
			return true;
	}
	return false;
}

static bool
pass_fine(const char *word, size_t n)
{
	static const char *const known[] = { "sancov-module", "mergefunc", "mem2reg", "sroa",
		"instcombine", "simplifycfg", "gvn", "licm", "always-inline" };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strlen(known[i]) == n && memcmp(known[i], word, n) == 0)
			return true;
	return false;
}

static bool
all_words(const char *words, const char *between, bool (*fine)(const char *word, size_t n))
{
	bool any = false;

	for (words += strspn(words, between); *words; words += strspn(words, between)) {
		size_t n = strcspn(words, between);

		if (!fine(words, n))
			return false;
		any = true;
		words += n;
	}
	return any;
}

bool
llvm_args_fine(const char *words)
{
	return all_words(words, " ", llvm_arg_fine);
}

bool
passes_fine(const char *words)
{
	return all_words(words, " ,", pass_fine);
}
