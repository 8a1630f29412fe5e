/* help.c: inputs taken apart, the flock of the fuzz targets, their file and their memory (fuzz.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"

void fuzz_broken(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* ---- an input ----------------------------------------------------------------------------- */

struct sl_span fuzz_take(struct sl_span *in, size_t len)
{
    struct sl_span taken = sl_span_of(in->p, len < in->len ? len : in->len);
    if (taken.len > 0)
        in->p += taken.len;
    in->len -= taken.len;
    return taken;
}

uint8_t fuzz_byte(struct sl_span *in)
{
    struct sl_span one = fuzz_take(in, 1);
    return one.len > 0 ? one.p[0] : 0;
}

uint16_t fuzz_number(struct sl_span *in)
{
    uint8_t high = fuzz_byte(in);
    return (uint16_t)(high << 8 | fuzz_byte(in));
}

struct sl_span fuzz_chunk(struct sl_span *in)
{
    size_t len = fuzz_number(in);
    return fuzz_take(in, len);
}

void fuzz_text(struct sl_span *in, char *out, size_t cap)
{
    const uint8_t *end = in->len > 0 ? memchr(in->p, 0, in->len) : NULL;
    struct sl_span text = fuzz_take(in, end ? (size_t)(end - in->p) : in->len);
    (void)fuzz_take(in, 1);
    sl_copy_text(out, cap, text.len > 0 ? (const char *)text.p : "", text.len);
}

bool fuzz_inside(struct sl_span part, struct sl_span whole)
{
    return part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len);
}

/* ---- a flock ------------------------------------------------------------------------------ */

static struct sim_crypto_count count;
static struct sim_signer authority;

static void signer(struct sim_signer *s, uint64_t number)
{
    struct sl_rand r;
    sl_rand_seed(&r, number);
    sim_signer_init(s, false, &count, &r);
}

const struct sl_bundle *fuzz_bundle(void)
{
    static struct sl_bundle bundle;
    if (bundle.n_authorities > 0)
        return &bundle;
    signer(&authority, 1000);
    struct sl_crypto c = sim_signer_port(&authority);
    sl_flock_id(&c, "fuzz", bundle.flock);
    memcpy(bundle.authority[0], authority.public_key, SL_KEY_LEN);
    bundle.door_public[0] = 1;
    bundle.n_authorities = 1;
    return &bundle;
}

void fuzz_person(struct fuzz_person *p, unsigned number)
{
    const struct sl_bundle *bundle = fuzz_bundle();
    struct sl_crypto by = sim_signer_port(&authority);
    struct sl_cert cert = {.not_after = 2 * FUZZ_WALL_S};
    struct sl_span key = sl_span_of(bundle->authority[0], SL_KEY_LEN);
    uint8_t text[SL_CERT_MAX + 64];
    signer(&p->signer, number);
    p->crypto = sim_signer_port(&p->signer);
    by.hash(by.context, cert.issuer, sizeof cert.issuer, NULL, 0, &key, 1);
    memcpy(cert.flock, bundle->flock, SL_FLOCK_LEN);
    memcpy(cert.key, p->signer.public_key, SL_KEY_LEN);
    sl_put32(cert.serial, number);
    (void)snprintf(cert.name, sizeof cert.name, "n%u", number);
    p->cert_len = sl_cert_encode(&cert, p->cert, sizeof p->cert);
    size_t len = sl_cert_signed_text(sl_span_of(p->cert, p->cert_len), text, sizeof text);
    by.sign(by.context, p->cert + p->cert_len, text, len);
    p->cert_len += SL_SIG_LEN;
    sl_node_id(&by, cert.key, &p->id);
}

static bool believe_all(void *context, const uint8_t key[SL_KEY_LEN], const uint8_t *msg,
                        size_t len, const uint8_t sig[SL_SIG_LEN])
{
    (void)context;
    /* What a real one reads, so that a length too long is noticed. */
    volatile uint8_t last =
        (uint8_t)(key[SL_KEY_LEN - 1] ^ sig[SL_SIG_LEN - 1] ^ (len > 0 ? msg[len - 1] : 0));
    (void)last;
    return true;
}

struct sl_crypto fuzz_crypto(struct fuzz_person *p, bool believe)
{
    struct sl_crypto c = p->crypto;
    if (believe)
        c.verify = believe_all;
    return c;
}

struct sl_addr fuzz_address(unsigned number)
{
    return (struct sl_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(7000 + number)};
}

size_t fuzz_fact(struct fuzz_person *p, uint8_t kind, uint64_t epoch, uint64_t seq,
                 struct sl_span body, uint8_t *out)
{
    struct sl_fact_header h = {.kind = kind, .origin = p->id, .version = {epoch, seq}};
    return sl_fact_sign(&p->crypto, fuzz_bundle(), &h, body, out);
}

size_t fuzz_record(struct fuzz_person *p, unsigned number, uint64_t seq, struct sl_span sections,
                   uint8_t *out)
{
    uint8_t body[SL_RECORD_MAX];
    struct sl_record r = {.cert = sl_span_of(p->cert, p->cert_len),
                          .addr = fuzz_address(number),
                          .host = number,
                          .sections = sections};
    size_t len = sl_record_write(&r, body, sizeof body);
    return fuzz_fact(p, SL_RECORD, 5, seq, sl_span_of(body, len), out);
}

size_t fuzz_vitals(struct fuzz_person *p, uint64_t seq, const struct sl_vitals *vitals,
                   uint8_t *out)
{
    uint8_t body[SL_VITALS_MAX];
    size_t len = sl_vitals_write(vitals, body, sizeof body);
    return fuzz_fact(p, SL_VITALS, 5, seq, sl_span_of(body, len), out);
}

/* ---- a file ------------------------------------------------------------------------------- */

static char dir[64], path[128];
static int file = -1;

static void remove_dir(void)
{
    if (file >= 0)
        (void)unlink(path);
    (void)rmdir(dir);
}

/* In memory where the system has a place for that: fuzzing writes some ten thousand files a second.
 */
const char *fuzz_dir(void)
{
    if (dir[0] != '\0')
        return dir;
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) > 32)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(dir, sizeof dir, "%s/starling-fuzz-XXXXXX", base);
    FUZZ_CHECK(mkdtemp(dir) != NULL);
    (void)atexit(remove_dir);
    return dir;
}

const char *fuzz_file(const char *name, struct sl_span bytes)
{
    if (file < 0) {
        (void)snprintf(path, sizeof path, "%s/%s", fuzz_dir(), name);
        file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        FUZZ_CHECK(file >= 0);
    }
    FUZZ_CHECK(ftruncate(file, 0) == 0);
    FUZZ_CHECK(pwrite(file, bytes.p, bytes.len, 0) == (ssize_t)bytes.len);
    return path;
}

/* ---- memory ------------------------------------------------------------------------------- */

static void *resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    struct fuzz_memory *m = context;
    FUZZ_CHECK(old_size <= m->live && (ptr != NULL || old_size == 0));
    if (new_size == 0) {
        free(ptr);
        m->live -= old_size;
        return NULL;
    }
    if (m->fail_at > 0 && ++m->n % m->fail_at == 0)
        return NULL;
    void *p = realloc(ptr, new_size);
    if (p == NULL)
        return NULL;
    m->live += new_size - old_size;
    if (m->live > m->peak)
        m->peak = m->live;
    return p;
}

void fuzz_memory_init(struct fuzz_memory *m, unsigned fail_at)
{
    *m = (struct fuzz_memory){.alloc = {.resize = resize, .context = m}, .fail_at = fail_at};
}
