/* Runs the calls of a plan one after the other, and the tasks of a call on several threads.

   Every thread has a share of a call's tasks, the same in every run, so that what it reads is still in its cache;
   when it is done it takes from the others' shares. So nobody waits for a thread that the system has put aside,
   except for the one task that it may have begun. Threads wait for the next call awake for a moment, then
   asleep. */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#if defined(__x86_64__) || defined(__i386__)
#define RELAX() __builtin_ia32_pause()
#else
#define RELAX() ((void)0)
#endif

enum { MOST_THREADS = 64, MOST_PIECES = 1024, LINE = 64, STACK_BYTES = 1 << 20 };
#define NANOSECONDS_AWAKE 100000

/* Does tasks start..stop; returns 0, or anything else where it refuses its input. */
typedef int64_t (*function)(char **pointers, const int64_t *numbers, int64_t start, int64_t stop);

typedef struct {
  function entry;
  char **pointers;
  const int64_t *numbers;
  int64_t tasks;
} call;

/* Threads take pieces: one task each, or several where there are very many. The pieces of a thread that nobody has
   begun, in one word: from its top the round (24 bits), the end (20), the first (20). The round keeps a thread that
   is late for its own from taking a piece of the next. */
typedef struct {
  _Alignas(LINE) atomic_uint_fast64_t pieces;
} share;

#define PIECE_BITS 20
#define PIECE_MASK ((UINT64_C(1) << PIECE_BITS) - 1)
#define ROUND(word) ((word) >> 2 * PIECE_BITS)
#define END(word) ((word) >> PIECE_BITS & PIECE_MASK)
#define FIRST(word) ((word)&PIECE_MASK)

static share shares[MOST_THREADS];
static _Alignas(LINE) atomic_uint_fast64_t round_number;
static _Atomic(const call *) current;
static atomic_int sharers = 1; /* threads that have a share */
static atomic_int refused;     /* whether a task was */
static _Alignas(LINE) atomic_int_fast64_t done;
static _Alignas(LINE) atomic_int sleepers;
static atomic_flag busy = ATOMIC_FLAG_INIT;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static int started = 1;        /* threads, the caller's counted */
static _Thread_local int team; /* likewise, those that the calls of this run may use */

static int64_t tasks_of_a_piece(const call *what) { return (what->tasks - 1) / MOST_PIECES + 1; }

static void work(int own, uint64_t number) {
  const int count = atomic_load(&sharers);
  for (int turn = 0; turn < count; ++turn) {
    atomic_uint_fast64_t *const from = &shares[(own + turn) % count].pieces;
    uint64_t word = atomic_load(from);
    while (ROUND(word) == ROUND(number << 2 * PIECE_BITS) && FIRST(word) < END(word)) {
      const call *const what = atomic_load(&current);
      if (!atomic_compare_exchange_weak(from, &word, word + 1)) continue;
      const int64_t each = tasks_of_a_piece(what), start = FIRST(word) * each;
      const int64_t end = start + each < what->tasks ? start + each : what->tasks;
      if (what->entry(what->pointers, what->numbers, start, end)) atomic_store(&refused, 1);
      atomic_fetch_add(&done, 1);
      word = atomic_load(from);
    }
  }
}

static int64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void wait_for_round_after(uint64_t seen) {
  const int64_t end = nanoseconds(CLOCK_MONOTONIC) + NANOSECONDS_AWAKE;
  do {
    for (int i = 0; i < 64; ++i) {
      if (atomic_load(&round_number) != seen) return;
      RELAX();
    }
  } while (nanoseconds(CLOCK_MONOTONIC) < end);
  pthread_mutex_lock(&mutex);
  atomic_fetch_add(&sleepers, 1);
  while (atomic_load(&round_number) == seen) pthread_cond_wait(&wake, &mutex);
  atomic_fetch_sub(&sleepers, 1);
  pthread_mutex_unlock(&mutex);
}

static void *worker(void *own) {
  uint64_t seen = 0;
  for (;;) {
    wait_for_round_after(seen);
    seen = atomic_load(&round_number);
    if ((int)(intptr_t)own < atomic_load(&sharers)) work((int)(intptr_t)own, seen);
  }
  return 0;
}

static int64_t run_tasks(const call *what) {
  const int64_t each = tasks_of_a_piece(what), pieces = (what->tasks + each - 1) / each;
  const int count = pieces < team ? (int)pieces : team;
  const uint64_t number = atomic_load(&round_number) + 1;
  atomic_store(&current, what);
  atomic_store(&sharers, count);
  atomic_store(&refused, 0);
  atomic_store(&done, 0);
  for (int t = 0; t < count; ++t) {
    const uint64_t first = pieces * t / count, end = pieces * (t + 1) / count;
    atomic_store(&shares[t].pieces, number << 2 * PIECE_BITS | end << PIECE_BITS | first);
  }
  atomic_store(&round_number, number);
  if (atomic_load(&sleepers)) {
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&mutex);
  }
  work(0, number);
  for (int64_t waited = 0; atomic_load(&done) < pieces; ++waited) {
    if (waited < 10000) RELAX();
    else sched_yield();
  }
  return atomic_load(&refused);
}

static void forget_threads(void) { /* a process forked off has the one thread that forked */
  started = 1;
  for (int t = 0; t < MOST_THREADS; ++t) atomic_store(&shares[t].pieces, 0); /* what a run left is the parent's */
  mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
  atomic_store(&sleepers, 0);
  atomic_flag_clear(&busy);
}

/* Starts threads, which leave all signals to the others, until there are `count`, the caller's counted; returns how
   many of them the system did not start. */
int64_t start_threads(int64_t count) {
  static int prepared;
  while (atomic_flag_test_and_set(&busy)) sched_yield(); /* another thread's run ends in a moment */
  if (!prepared) prepared = !pthread_atfork(0, 0, forget_threads);
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (count > MOST_THREADS) count = MOST_THREADS;
  while (started < count && !pthread_create(&thread, &attributes, worker, (void *)(intptr_t)started)) ++started;
  const int64_t missing = count > started ? count - started : 0;
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, 0);
  atomic_flag_clear(&busy);
  return missing;
}

#ifdef CLOCK_MONOTONIC_COARSE
#define COARSE_CLOCK CLOCK_MONOTONIC_COARSE
#else
#define COARSE_CLOCK CLOCK_MONOTONIC
#endif
#define LONGEST 50000000    /* nanoseconds of one `run` of loops, so that Python may see to signals */
#define PAUSED INT64_MIN    /* what a loop returns when they are over */
static _Thread_local int64_t deadline;
static _Thread_local int resumed; /* whether calls are to go on where they were paused */

/* Looks at the clock; where it stands still, only every so often. */
static int is_late(void) {
  static _Thread_local int64_t seen, unseen;
  if (unseen-- > 0) return 0;
  const int64_t now = nanoseconds(COARSE_CLOCK);
  unseen = now == seen ? 15 : 0;
  seen = now;
  return now > deadline;
}

/* Makes the calls from *at up to `end`; stops at one that refuses its input or is paused, whose number *at then is,
   and returns what it returned. A function that has one task may call this for calls of its own. */
static int64_t run_calls(const call *calls, int64_t end, int64_t *at) {
  for (; *at < end; ++*at) {
    const call *const what = &calls[*at];
    const int64_t code = what->tasks > 1 && team > 1 ? run_tasks(what)
                                                     : what->entry(what->pointers, what->numbers, 0, what->tasks);
    if (code) return code;
  }
  return 0;
}

/* Makes the calls on so many threads, from the one behind number `from`, or if that is negative, on with what it
   stands for. Returns 0; the number, from 1, of one that refuses its input; or a negative number, minus that of one
   that is paused, which is to be called with next.
   A second thread that calls while one runs computes its tasks by itself. */
int64_t run(const call *calls, int64_t count, int64_t threads, int64_t from) {
  const int alone = atomic_flag_test_and_set(&busy);
  int64_t at = from < 0 ? -from - 1 : from;
  team = alone ? 1 : threads < started ? (int)threads : started;
  resumed = from < 0;
  deadline = nanoseconds(COARSE_CLOCK) + LONGEST;
  const int64_t code = run_calls(calls, count, &at);
  if (!alone) atomic_flag_clear(&busy);
  return !code ? 0 : code == PAUSED ? -at - 1 : at + 1;
}
