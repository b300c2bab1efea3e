/* The turns of a loop. Its calls are bound to the arrays of one turn. Before each turn, those of their pointers that
   lead to what differs from turn to turn are set to where it lies now: in a slot of a sequence or of a stack of
   outputs, or, for a state, where the turn before has left it. So nothing is copied into a turn, nor out of it. */

#include <string.h>

/* Where something lies: of a state where it lay in the turn before, if there was one; else in a slot of the loop's
   array with this number; else, where that is -1, in one of two memories, turn about. */
typedef struct {
  int64_t before; /* the place that this is, a turn later; -1: none */
  int64_t array;
  int64_t step; /* from slot to slot, in bytes */
  char *own[2];
} place;

enum { BEFORE_A_TURN = 1, WITHIN_A_TURN };

/* A pointer that leads so many bytes behind where a place begins. */
typedef struct {
  char **pointer;
  int64_t place, offset;
} cell;

typedef struct {
  const call *calls;                    /* copies of first states, the condition's, a turn's */
  int64_t condition, body, end;         /* where the second and the third begin, and the end */
  const place *places;                  /* of states, of elements, of results */
  int64_t states, results, place_count; /* how many states there are, where results begin, all */
  const cell *cells;
  int64_t cell_count;
  const int64_t *bytes;                 /* of states */
  int64_t outputs;                      /* the number of the loop's first array that it writes */
  int64_t length, reverse, count, made; /* numbers of arrays, or -1: how many turns are to be made; were made */
  const uint8_t *going_on;              /* what the condition finds; 0: there is none */
  char **now;                           /* where places begin in this turn */
  int64_t turns, turn, at, paused;      /* to be made, of which this is made, its call, where it goes on */
} loop;

static char *address(const loop *it, char **p, const place *what, int64_t turn) {
  if (what->before >= 0 && turn) return address(it, p, it->places + what->before, turn - 1);
  if (what->array < 0) return what->own[turn & 1];
  return p[what->array] + (it->reverse ? it->turns - 1 - turn : turn) * what->step;
}

static void begin(loop *it, char **p) {
  for (int64_t i = 0; i < it->place_count; ++i) it->now[i] = address(it, p, &it->places[i], it->turn);
  for (const cell *c = it->cells; c < it->cells + it->cell_count; ++c) *c->pointer = it->now[c->place] + c->offset;
  it->at = it->condition;
}

/* p: a loop, what it reads, what it writes: the last states, stacks with 0 where no turn was made, ... */
int64_t scan(char **p, const int64_t *n, int64_t start, int64_t stop) {
  loop *const it = (loop *)p[0];
  int64_t code;
  if (!resumed) {
    it->turn = it->at = it->paused = 0;
    it->turns = it->count < 0 ? it->length : *(const int64_t *)p[it->count];
    if ((code = run_calls(it->calls, it->condition, &it->at))) return code;
  }
  int begun = resumed && it->paused != BEFORE_A_TURN;
  if (it->paused) resumed = it->paused = 0;
  for (; it->turn < it->turns; ++it->turn, begun = 0) {
    if (!begun && is_late()) {
      it->paused = BEFORE_A_TURN;
      return PAUSED;
    }
    if (!begun) begin(it, p);
    if (it->at < it->body && (code = run_calls(it->calls, it->body, &it->at))) return code;
    if (it->going_on && !*it->going_on) break;
    if ((code = run_calls(it->calls, it->end, &it->at))) return code;
  }
  const int64_t first = it->reverse ? it->turns - it->turn : 0, end = first + it->turn; /* slots that were filled */
  for (const place *to = it->places + it->results; to < it->places + it->place_count; ++to)
    if (to->array >= 0) {
      memset(p[to->array], 0, first * to->step);
      memset(p[to->array] + end * to->step, 0, (it->length - end) * to->step);
    }
  for (int64_t i = 0; i < it->states; ++i)
    memcpy(p[it->outputs + i], address(it, p, &it->places[i], it->turn), it->bytes[i]);
  if (it->made >= 0) *(int64_t *)p[it->made] = it->turn;
  return 0;
}
