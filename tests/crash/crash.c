/*
 * crash.c - the simulator's program: records workloads, makes images of their
 * disk at every operation, recovers each and judges it.
 * Never lets a wrong image pass without the line that makes it again.
 * Read next: README.md, disk.h, work.h, book.h.
 */
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "queue/store_own.h"
#include "tests/crash/book.h"
#include "tests/crash/disk.h"
#include "tests/crash/work.h"
#include "tests/crash/world.h"

#define ROUND 2000u			/* images of one workload */
#define STEPS 180u			/* of a workload */
#define PLANT_IMAGES 20000u		/* in which a planted bug must show */

struct run {
	struct conf_spool	 conf;
	char			 dir[64];
	uint64_t		 seed;
	uint32_t		 image;		/* under way */
	bool			 verbose;
	bool			 planted;	/* what is wrong is as it should be */
	const char		*keep;		/* where to write the image, or NULL */
	uint32_t		 round;		/* of what follows; UINT32_MAX: none */
	struct disk		*disk;
	struct book		*book;
};

static struct run run;			/* for the signal handler, too */

/* ---- one opening of an image ---- */

struct opened {
	struct store	*s;
	struct loop	*loop;
	struct found	 found;
};

static void
on_message(void *ctx, struct store_message *m, const struct envelope *e)
{
	struct found *f = ctx;
	const uint32_t n = book_of(&m->id);

	(void)e;
	if (n == UINT32_MAX)
		f->foreign = true;
	else
		f->told[n]++;
}

static void
on_note(void *ctx, uint8_t kind, const char *key, const uint8_t *value, size_t len)
{
	struct found *f = ctx;
	char text[16];

	if (kind != NOTE_DESTINATION || key[0] != 'k' || key[1] < '0' ||
	    key[1] >= '0' + (int)BOOK_NOTES || len >= sizeof text) {
		f->foreign = true;
		return;
	}
	snprintf(text, sizeof text, "%.*s", (int)len, (const char *)value);
	f->notes[key[1] - '0'] = (uint32_t)strtoul(text, NULL, 10);
}

static bool
image_open(struct disk *d, struct opened *o, char *why, size_t size)
{
	const struct store_handlers h = { .message = on_message, .note = on_note };
	struct fault f = { 0 };
	int code = 0;

	memset(o, 0, sizeof *o);
	disk_mount(d);
	o->loop = loop_new();
	disk_set_recovering(d, true);
	if (!store_lock(&o->s, &run.conf, &code, &f) ||
	    !store_start(o->s, o->loop, &h, &o->found, &f)) {
		snprintf(why, size, "the spool does not open: %.200s", f.text);
		disk_set_recovering(d, false);
		return false;
	}
	disk_set_recovering(d, false);
	return true;
}

/* Closes it as a kill would: nothing is written any more. */
static void
image_close(struct disk *d, struct opened *o)
{
	disk_set_dead(d, true);
	store_close(&o->s);
	loop_free(&o->loop);
	disk_set_dead(d, false);
}

/* ---- what is asked of an image ---- */

/* All in doubt is sent again, as rx does: taken, or known already, and there once. */
struct again {
	uint32_t	n, done, have, refused;
};

static void
on_again(void *ctx, enum store_result r, struct store_message *m, const struct status *st)
{
	struct again *a = ctx;

	(void)m;
	(void)st;
	a->done += r == STORE_DONE;
	a->have += r == STORE_HAVE_IT;
	a->refused += r == STORE_REFUSED;
}

static bool
send_again(struct opened *o, uint32_t at, char *why, size_t size)
{
	const struct book *b = run.book;
	struct again a = { 0 };
	uint32_t expected = 0;

	for (uint32_t n = 0; n < b->n; n++) {
		const struct booked *m = &b->messages[n];
		struct book_new new;

		if (m->op > at || m->refused_op <= at || m->body_file ||
		    (m->ack_op <= at && n % 8 != 0) || m->dsn)
			continue;
		expected += o->found.told[n];
		book_new(b, n, &new);
		store_accept(o->s, &new.n, on_again, &a);
		free(new.body);
		a.n++;
	}
	for (int turns = 0; turns < 2000 && a.done + a.have + a.refused < a.n; turns++)
		world_turn(o->loop);
	if (a.done + a.have + a.refused == a.n && a.refused == 0 && a.have >= expected)
		return true;
	snprintf(why, size, "sent again %u: %u done, %u known, %u refused; %u were there", a.n,
	    a.done, a.have, a.refused, expected);
	return false;
}

static bool
no_damage(const struct disk *d, char *why, size_t size)
{
	const unsigned n = disk_files(d, "quarantine");

	if (n > 0)
		snprintf(why, size, "%u files in quarantine after a mere crash", n);
	return n == 0;
}

/*
 * Recovers image d and judges it; then crashes the machine again, during the
 * recovery or behind it, and judges what that leaves.  depth: crashes still to
 * come.
 */
static bool
judge_image(struct disk *d, uint32_t at, uint64_t *rng, int depth, char *why, size_t size)
{
	struct opened o;
	struct disk *next = NULL;
	uint64_t digest = 0;
	uint32_t ops = 0, point = 0;
	bool ok = image_open(d, &o, why, size);

	if (ok)
		ok = book_judge(run.book, at, o.s, &o.found, why, size) && no_damage(d, why, size);
	if (ok) {
		digest = book_digest(run.book, o.s, &o.found);
		ops = disk_ops(d);
	}
	if (ok && depth > 0 && chance_below(rng, 4) == 0)
		ok = send_again(&o, at, why, size);
	image_close(d, &o);
	if (!ok || depth == 0)
		return ok;
	point = chance_below(rng, 4) == 0 ? chance_below(rng, ops + 1) : ops;
	next = disk_crash(d, point, chance_below(rng, LOSS_COUNT), rng);
	if (point < ops) {
		ok = judge_image(next, at, rng, depth - 1, why, size);
	} else {
		ok = image_open(next, &o, why, size);
		if (ok && book_digest(run.book, o.s, &o.found) != digest) {
			snprintf(why, size, "recovered again, the spool is another one");
			ok = false;
		}
		if (ok)
			ok = book_judge(run.book, at, o.s, &o.found, why, size);
		image_close(next, &o);
	}
	disk_free(&next);
	return ok;
}

/* ---- images by number ---- */

static void
round_record(uint32_t round)
{
	uint64_t rng = run.seed * 0x2545f4914f6cdd1du + round;

	if (run.round == round)
		return;
	disk_free(&run.disk);
	free(run.book);
	run.round = round;
	run.disk = work_run(&run.conf, chance(&rng), STEPS, &run.book);
}

/* The n-th image of the seed: every operation of its workload in turn. */
static bool
image_run(uint32_t image)
{
	uint64_t rng = run.seed ^ (uint64_t)image << 32 ^ image;
	uint32_t at = 0;
	enum disk_loss loss = LOSS_ALL;
	struct disk *d = NULL;
	char why[256] = "";
	bool ok = false;

	run.image = image;
	round_record(image / ROUND);
	at = image % ROUND % (disk_ops(run.disk) + 1);
	loss = chance_below(&rng, LOSS_COUNT);
	world_seed(chance(&rng));
	d = disk_crash(run.disk, at, loss, &rng);
	if (run.keep != NULL && !disk_export(d, run.keep))
		fprintf(stderr, "crash: %s: the image could not be written\n", run.keep);
	if (run.verbose) {
		disk_print(run.disk, at > 60 ? at - 60 : 0, at);
		printf("image %u: crash before operation %u of %u, lost: %s\n", image, at,
		    disk_ops(run.disk), disk_loss_names[loss]);
	}
	ok = judge_image(d, at, &rng, 2, why, sizeof why);
	if (!ok && run.planted)
		printf("planted %s: seen at image %u: %s\n", plant_names[plant_now], image, why);
	else if (!ok)
		printf("crash: WRONG: %s (operation %u of %u, lost: %s): "
		    "again with --seed %llu --image %u%s%s\n", why, at, disk_ops(run.disk),
		    disk_loss_names[loss], (unsigned long long)run.seed, image,
		    plant_now == PLANT_NONE ? "" : " --plant ",
		    plant_now == PLANT_NONE ? "" : plant_names[plant_now]);
	fflush(stdout);
	disk_free(&d);
	return ok;
}

static void
on_fatal(int signo)
{
	char line[160];
	const int n = run.planted ? snprintf(line, sizeof line,
	    "planted %s: seen at image %u: signal %d\n", plant_names[plant_now], run.image, signo) :
	    snprintf(line, sizeof line, "crash: signal %d: again with --seed %llu --image %u"
	    " --plant %s\n", signo, (unsigned long long)run.seed, run.image, plant_names[plant_now]);

	if (write(STDOUT_FILENO, line, (size_t)n) == -1)
		_exit(2);
	_exit(1);
}

static void
run_begin(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)mallopt(M_MMAP_THRESHOLD, 64 << 20);	/* twice as fast */
	(void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
	snprintf(run.dir, sizeof run.dir, "%.40s/relayd-crash-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(run.dir) == NULL) {
		perror(run.dir);
		exit(1);
	}
	run.round = UINT32_MAX;
	run.conf = (struct conf_spool){ .path = run.dir, .allow_ephemeral = true,
	    .segment_bytes = 64u << 10, .max_messages = 100000, .max_bytes = 1u << 30,
	    .large_bytes = 4u << 10 };
	signal(SIGABRT, on_fatal);
	signal(SIGSEGV, on_fatal);
}

static void
run_end(void)
{
	char lock[80];

	disk_free(&run.disk);
	free(run.book);
	snprintf(lock, sizeof lock, "%s/lock", run.dir);
	unlink(lock);
	rmdir(run.dir);
}

/* How many of the images are wrong; stops at the first few. */
static unsigned
images_run(uint32_t count)
{
	unsigned wrong = 0;

	for (uint32_t i = 0; i < count && wrong < 5; i++)
		wrong += !image_run(i);
	return wrong;
}

/* ---- planted bugs ---- */

/* In a process of its own: what is wrong may end in an abort, which counts as seen. */
static bool
plant_seen(enum plant p)
{
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		plant_now = p;
		run.planted = true;
		run.round = UINT32_MAX;	/* what is recorded is without the bug */
		for (uint32_t i = 0; i < PLANT_IMAGES; i++) {
			/* Other workloads soon: not every one has what the bug needs. */
			if (!image_run(i % 400 + i / 400 * ROUND))
				_exit(1);
		}
		_exit(0);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static unsigned
plants_run(unsigned *passed)
{
	unsigned failed = 0;

	for (int p = PLANT_NONE + 1; p < PLANT_COUNT; p++) {
		const bool seen = plant_seen(p);

		*passed += seen;
		failed += !seen;
		if (!seen)
			printf("crash: NOT SEEN: planted bug %s\n", plant_names[p]);
		fflush(stdout);
	}
	return failed;
}

/* ---- command line ---- */

static int
usage(void)
{
	fprintf(stderr, "usage: crash [--count N] [--seed S] [--image K [--keep DIR] [--verbose]]"
	    " [--plant NAME] [--no-plants]\n");
	return 2;
}

static enum plant
plant_parse(const char *name)
{
	for (int p = 0; p < PLANT_COUNT; p++)
		if (strcmp(name, plant_names[p]) == 0)
			return p;
	exit(usage());
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
all_run(uint32_t count, bool plants)
{
	const double began = seconds();
	unsigned passed = 0, failed = 0;
	const unsigned wrong = images_run(count);
	const double took = seconds() - began;

	passed += wrong == 0;
	failed += wrong > 0;
	printf("crash: %u images, seed %llu, %u wrong, %.0f a second\n", wrong == 0 ? count : run.image + 1,
	    (unsigned long long)run.seed, wrong, (wrong == 0 ? count : run.image + 1) / took);
	fflush(stdout);
	if (plants)
		failed += plants_run(&passed);
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'c' }, { "seed", required_argument, NULL, 's' },
		{ "image", required_argument, NULL, 'i' }, { "keep", required_argument, NULL, 'k' },
		{ "plant", required_argument, NULL, 'p' }, { "no-plants", no_argument, NULL, 'n' },
		{ "verbose", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 },
	};
	uint32_t count = 4000, image = UINT32_MAX;
	bool plants = true;
	int c = 0, code = 0;

	run.seed = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c': count = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 's': run.seed = strtoull(optarg, NULL, 10); break;
		case 'i': image = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'k': run.keep = optarg; break;
		case 'p': plant_now = plant_parse(optarg); plants = false; break;
		case 'n': plants = false; break;
		case 'v': run.verbose = true; break;
		default: return usage();
		}
	}
	run_begin();
	log_open(NULL, run.verbose ? STDERR_FILENO : open("/dev/null", O_WRONLY | O_CLOEXEC), "crash");
	if (image != UINT32_MAX)
		code = image_run(image) ? 0 : 1;
	else
		code = all_run(count, plants);
	run_end();
	return code;
}
