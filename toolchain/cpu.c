/* Invariant: everything that LLVM's host detection (llvm/lib/TargetParser/Host.cpp) reads is in the
 * digest, and nothing that differs between the cores of one machine or from boot to boot. */
#include "config.h"

#include "toolchain/cpu.h"

#include <errno.h>

#include "common/fs.h"
#include "common/strv.h"

#define CPUINFO_MAX (4u << 20)
#define CPU_DOMAIN "dray cpu 1"
#define NATIVE_DOMAIN "dray native toolchain 1"

char *
cpu_arm_parts(const char *cpuinfo)
{
	static const char *const keys[] = { "CPU implementer", "CPU architecture", "CPU variant",
		"CPU part", "Features", "Hardware" };
	_cleanup_(strv_done) struct strv lines = STRV_INIT;
	struct buf b = BUF_INIT;
	int r = 0;

	for (const char *p = cpuinfo; r == 0 && *p; p += strspn(p, "\n")) {
		size_t n = strcspn(p, "\n");

		for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++)
			if (starts_with(p, keys[i]))
				r = strv_addn(&lines, p, n);
		p += n;
	}
	strv_sort_unique(&lines);
	for (size_t i = 0; r == 0 && i < lines.n; i++)
		r = buf_addf(&b, "%s\n", lines.v[i]);
	if (r == 0)
		r = buf_add(&b, "", 1);
	if (r < 0) {
		buf_done(&b);
		return NULL;
	}
	return (char *)b.p;
}

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>

/* Which registers of a leaf say what the CPU is. Others hold numbers of cores, or clocks. */
struct leaf {
	unsigned leaf, sub;
	bool a, b, c, d;
};

static const struct leaf leaves[] = {
	{ 0x0, 0, false, true, true, true },
	/* b has this core's number in it */
	{ 0x1, 0, true, false, true, true },
	{ 0x7, 0, false, true, true, true },
	{ 0x7, 1, true, true, true, true },
	{ 0xd, 1, true, false, false, false },
	{ 0x14, 0, false, true, false, false },
	{ 0x19, 0, false, true, false, false },
	{ 0x1e, 1, true, false, false, false },
	{ 0x24, 0, false, true, false, false },
	{ 0x80000001, 0, false, false, true, true },
	{ 0x80000007, 0, false, false, false, true },
	{ 0x80000008, 0, false, true, false, false },
	{ 0x80000021, 0, true, false, false, false },
};

static int
hash_cpu(struct hasher *h)
{
	uint32_t xcr0[2] = { 0, 0 };

	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		const struct leaf *l = &leaves[i];
		unsigned a = 0, b = 0, c = 0, d = 0;
		uint32_t v[6] = { l->leaf, l->sub, 0, 0, 0, 0 };

		if (__get_cpuid_count(l->leaf, l->sub, &a, &b, &c, &d)) {
			v[2] = l->a ? a : 0;
			v[3] = l->b ? b : 0;
			v[4] = l->c ? c : 0;
			v[5] = l->d ? d : 0;
		}
		if (l->leaf == 1 && (c & bit_OSXSAVE))
			__asm__ volatile("xgetbv" : "=a"(xcr0[0]), "=d"(xcr0[1]) : "c"(0));
		hasher_field(h, v, sizeof(v));
	}
	hasher_field(h, xcr0, sizeof(xcr0));
	return 0;
}

#elif defined(__aarch64__) || defined(__arm__)

static int
hash_cpu(struct hasher *h)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *parts = NULL;
	int r = fs_read_file("/proc/cpuinfo", CPUINFO_MAX, &b);

	if (r < 0)
		return r;
	parts = cpu_arm_parts(b.n ? (const char *)b.p : "");
	if (!parts)
		return -ENOMEM;
	if (!*parts)
		return -ENOTSUP;
	hasher_field(h, parts, strlen(parts));
	return 0;
}

#else

static int
hash_cpu(struct hasher *h)
{
	return -ENOTSUP;
}

#endif

int
cpu_digest(struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	int r;

	if (!h)
		return -ENOMEM;
	hasher_field(h, CPU_DOMAIN, strlen(CPU_DOMAIN));
	r = hash_cpu(h);
	if (r == 0)
		hasher_final(h, ret);
	return r;
}

int
cpu_native_of(const struct digest *toolchain, const struct digest *cpu, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();

	if (!h)
		return -ENOMEM;
	hasher_field(h, NATIVE_DOMAIN, strlen(NATIVE_DOMAIN));
	hasher_field(h, toolchain->b, DIGEST_SIZE);
	hasher_field(h, cpu->b, DIGEST_SIZE);
	hasher_final(h, ret);
	return 0;
}

int
cpu_native_toolchain(const struct digest *toolchain, struct digest *ret)
{
	struct digest cpu;
	int r = cpu_digest(&cpu);

	return r < 0 ? r : cpu_native_of(toolchain, &cpu, ret);
}
