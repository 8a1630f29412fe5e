/* fuzz.h: what the fuzz targets share: taking an input apart, a flock with cheap signatures, a file
 * that holds the input, memory that is counted and that can fail.
 *
 * A target is one LLVMFuzzerTestOneInput. Linked with libFuzzer it is fuzzed (tests/fuzz/run);
 * linked with replay.c it is a test that runs over the corpus (`make check`). It keeps nothing
 * between two inputs that the next could notice, so that what an input does can be repeated. */
#ifndef SL_TESTS_FUZZ_H
#define SL_TESTS_FUZZ_H

#include "base/port.h"
#include "gossip/cert.h"
#include "gossip/fact.h"
#include "tests/sim/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an input may cost in memory at a time, beyond what the empty one does: replay.c measures.
 * Each target says it of its parser. */
struct fuzz_cost {
    size_t fixed, per_byte; /* bytes; the latter for each byte of the input */
};
extern const struct fuzz_cost fuzz_cost;

/* What must hold for every input. Not assert: that is gone in a build with NDEBUG. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_broken(const char *file, int line, const char *what);

/* ---- an input, from the front ------------------------------------------------------------ */

uint8_t fuzz_byte(struct sl_span *in);    /* 0 at the end */
uint16_t fuzz_number(struct sl_span *in); /* two bytes, big-endian */
/* At most `len` bytes, and never more than there are. */
struct sl_span fuzz_take(struct sl_span *in, size_t len);
/* A length of two bytes, and as much of it as there is. */
struct sl_span fuzz_chunk(struct sl_span *in);
/* The bytes before the next zero byte, which is taken too, cut to cap - 1. */
void fuzz_text(struct sl_span *in, char *out, size_t cap);
/* Whether a borrowed span lies inside what it was borrowed from. */
bool fuzz_inside(struct sl_span part, struct sl_span whole);

/* ---- a flock ------------------------------------------------------------------------------ */

/* Hashes and signatures of the simulator's model: a forged fact fails, for a fiftieth of the price.
 */
struct fuzz_person {
    struct sim_signer signer;
    struct sl_crypto crypto;
    uint8_t cert[SL_CERT_MAX];
    size_t cert_len;
    struct sl_id id;
};

#define FUZZ_WALL_S INT64_C(1700000000)

/* What all members hold; the same for ever. */
const struct sl_bundle *fuzz_bundle(void);
void fuzz_person(struct fuzz_person *p, unsigned number);
/* The person's port; with `believe` every signature verifies, so that an altered fact or
 * certificate gets as far as it would from a member that signs whatever it likes. */
struct sl_crypto fuzz_crypto(struct fuzz_person *p, bool believe);
struct sl_addr fuzz_address(unsigned number);
/* Signed facts into out (room for sl_fact_max of the kind); their length. */
size_t fuzz_fact(struct fuzz_person *p, uint8_t kind, uint64_t epoch, uint64_t seq,
                 struct sl_span body, uint8_t *out);
size_t fuzz_record(struct fuzz_person *p, unsigned number, uint64_t seq, struct sl_span sections,
                   uint8_t *out);
size_t fuzz_vitals(struct fuzz_person *p, uint64_t seq, const struct sl_vitals *vitals,
                   uint8_t *out);

/* ---- a file ------------------------------------------------------------------------------- */

/* A directory of this process's own, removed at its end. */
const char *fuzz_dir(void);
/* NAME in it, holding these bytes and closed to others; the path, until the next call. It is one
 * file that is written over: making a new one each time would be most of what there is to do. */
const char *fuzz_file(const char *name, struct sl_span bytes);

/* ---- memory ------------------------------------------------------------------------------- */

struct fuzz_memory {
    struct sl_alloc alloc;
    size_t live, peak; /* bytes now, and at most so far */
    unsigned fail_at;  /* this allocation from now, and each such one after it, fails; 0 = none */
    unsigned n;
};
void fuzz_memory_init(struct fuzz_memory *m, unsigned fail_at);

#endif
