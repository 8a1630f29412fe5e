/* replay.c: the main() of a fuzz target without libFuzzer. Each file of its corpus is run as it is,
 * and again with each of its beginnings, in memory that ends and begins at a page nobody may touch,
 * and as a copy of its exact length (which AddressSanitizer watches). Then a head of five bytes
 * that announces 2^32 - 1 bytes or elements is put at each place of each file, and nothing may be
 * allocated because of it but what the target says (fuzz_cost). Results in TAP; arguments are files
 * and directories instead of the corpus. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory.h"

#define INPUT_MAX ((size_t)256 * 1024)
#define BEGINNINGS_MAX 128 /* of one file; of a longer one as many, evenly spread */

static uint8_t input[INPUT_MAX];
static uint8_t *fence;   /* INPUT_MAX writable bytes between two pages that are not */
static char now_at[512]; /* what to blame, when the process ends in a signal */

static void say_input(void)
{
    static const char text[] = "# the input: ";
    ssize_t n = write(STDOUT_FILENO, text, sizeof text - 1);
    n += write(STDOUT_FILENO, now_at, strlen(now_at));
    n += write(STDOUT_FILENO, "\n", 1);
    (void)n;
}

static void blame(int signal_number)
{
    say_input();
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

/* Of the sanitizers, which know more about a bad access than its signal says. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

/* UndefinedBehaviorSanitizer has a runtime of its own next to AddressSanitizer's with gcc: it is to
 * end in a signal, so that the input is named. */
const char *__ubsan_default_options(void);
__attribute__((visibility("default"))) const char *__ubsan_default_options(void)
{
    return "abort_on_error=1";
}

static void watch_for_the_end(void)
{
    static const int ends[] = {SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE};
    size_t n = SL_COUNT(ends);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(say_input);
        n = 2;
    }
    for (size_t i = 0; i < n; i++)
        (void)signal(ends[i], blame);
}

static void build_fence(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *p = mmap(NULL, INPUT_MAX + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page, INPUT_MAX, PROT_READ | PROT_WRITE) < 0) {
        (void)printf("Bail out! no memory for the fence\n");
        exit(1);
    }
    fence = p + page;
}

static void run_everywhere(size_t len)
{
    uint8_t *end = fence + INPUT_MAX - len, *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL)
        abort();
    if (len > 0) {
        memcpy(end, input, len);
        memcpy(copy, input, len);
    }
    (void)LLVMFuzzerTestOneInput(end, len);
    FUZZ_CHECK(len == 0 || memcmp(end, copy, len) == 0); /* an input is read, never written */
    if (len > 0)
        memcpy(fence, input, len);
    (void)LLVMFuzzerTestOneInput(fence, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

/* ---- bombs -------------------------------------------------------------------------------- */

static const struct {
    const char *name, *bytes;
} bombs[] = {{"an array", "\xdd\xff\xff\xff\xff"},
             {"a map", "\xdf\xff\xff\xff\xff"},
             {"binary", "\xc6\xff\xff\xff\xff"},
             {"text", "\xdb\xff\xff\xff\xff"},
             {"an extension", "\xc9\xff\xff\xff\xff"}};
#define BOMB_LEN 5
#define BOMB_PLACES_MAX 64

static size_t base;             /* what the empty input costs */
static size_t n_bombs, dearest; /* bytes above base, of all inputs */
static double dearest_part;     /* of what is allowed */

static bool cost_ok(const uint8_t *p, size_t len)
{
    memory_count();
    (void)LLVMFuzzerTestOneInput(p, len);
    size_t peak = memory_peak(), cost = peak > base ? peak - base : 0;
    size_t allowed = fuzz_cost.fixed + fuzz_cost.per_byte * len;
    dearest = cost > dearest ? cost : dearest;
    double part = cost == 0 ? 0 : (double)cost / (double)(allowed > 0 ? allowed : 1);
    dearest_part = part > dearest_part ? part : dearest_part;
    if (cost > allowed)
        (void)printf("# %zu bytes of memory for %zu of input, %zu are allowed: %s\n", cost, len,
                     allowed, now_at);
    return cost <= allowed;
}

/* In the place of what is there, with what follows it and without. */
static bool bomb_file(const char *path, size_t len)
{
    static uint8_t spliced[INPUT_MAX + BOMB_LEN];
    size_t step = len / BOMB_PLACES_MAX + 1;
    bool good = true;
    (void)snprintf(now_at, sizeof now_at, "%.400s", path);
    good = cost_ok(input, len) && good;
    for (size_t at = 0; at < len; at += step) {
        for (size_t k = 0; k < SL_COUNT(bombs); k++) {
            (void)snprintf(now_at, sizeof now_at, "%.400s with %s at byte %zu", path, bombs[k].name,
                           at);
            memcpy(spliced, input, at);
            memcpy(spliced + at, bombs[k].bytes, BOMB_LEN);
            memcpy(spliced + at + BOMB_LEN, input + at + 1, len - at - 1);
            good = cost_ok(spliced, len + BOMB_LEN - 1) && good;
            good = cost_ok(spliced, at + BOMB_LEN) && good;
            n_bombs += 2;
        }
    }
    return good;
}

/* ---- files and directories ---------------------------------------------------------------- */

static bool cheap = true;

/* False: it cannot be read. */
static bool run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    size_t len = fread(input, 1, sizeof input, f);
    bool bad = ferror(f) != 0 || !feof(f);
    (void)fclose(f);
    if (bad)
        return false;
    (void)alarm(120); /* an input that does not end has a name too */
    size_t step = len / BEGINNINGS_MAX + 1;
    for (size_t beginning = 0; beginning < len; beginning += step) {
        (void)snprintf(now_at, sizeof now_at, "the first %zu bytes of %.400s", beginning, path);
        run_everywhere(beginning);
    }
    (void)snprintf(now_at, sizeof now_at, "%.400s", path);
    run_everywhere(len);
    cheap = bomb_file(path, len) && cheap;
    return true;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Number of inputs run; -1: something could not be read. */
static int run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -1;
    if (!S_ISDIR(st.st_mode))
        return run_file(path) ? 1 : -1;
    struct dirent **names;
    int found = scandir(path, &names, visible, alphasort), n = found;
    for (int i = 0; i < found; i++) {
        char file[512];
        int len = snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        if (len < 0 || len >= (int)sizeof file || !run_file(file))
            n = -1;
        free(names[i]);
    }
    if (found >= 0)
        free(names);
    return n;
}

static void report(int number, const char *path, int n)
{
    if (n > 0)
        (void)printf("ok %d - %d inputs of %s, whole and cut off anywhere\n", number, n, path);
    else
        (void)printf("not ok %d - %s %s\n", number, path, n == 0 ? "is empty" : "cannot be read");
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/'), *top = getenv("top_srcdir");
    char corpus[512];
    name = name != NULL ? name + 1 : argv[0];
    if (strncmp(name, "fuzz_", 5) == 0)
        name += 5;
    (void)snprintf(corpus, sizeof corpus, "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".", name);

    watch_for_the_end();
    build_fence();

    (void)LLVMFuzzerTestOneInput(fence + INPUT_MAX, 0); /* what is made once is not the second's */
    memory_count();
    (void)LLVMFuzzerTestOneInput(fence + INPUT_MAX, 0);
    base = memory_peak();

    (void)printf("1..%d\n", argc > 1 ? argc : 2);
    bool good = true;
    for (int i = 1; i < argc || i == 1; i++) {
        const char *path = argc > 1 ? argv[i] : corpus;
        int n = run_path(path);
        report(i, path, n);
        good = good && n > 0;
    }
    (void)printf("# at most %zu bytes of memory more than the %zu of an empty input, %.0f %% of "
                 "what is allowed\n",
                 dearest, base, 100 * dearest_part);
    (void)printf("%sok %d - %zu bombs allocate at most %zu bytes and %zu for each that came\n",
                 cheap ? "" : "not ", argc > 1 ? argc : 2, n_bombs, fuzz_cost.fixed,
                 fuzz_cost.per_byte);
    return good && cheap ? 0 : 1;
}
