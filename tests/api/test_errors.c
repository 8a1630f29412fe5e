/* test_errors.c: what is wrong is refused with the code that the header promises and a
 * sentence, and what was half done is undone. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "flock.h"

static struct flock_of f;

static void begin(void)
{
    flock_begin(&f);
}

static void end(void)
{
    flock_end(&f);
}

/* ---- texts -------------------------------------------------------------------------------- */

START_TEST(every_code_has_a_text_of_its_own)
{
    for (int a = STARLING_EIO; a <= 0; a++) {
        ck_assert_str_ne(starling_strerror(a), "");
        for (int b = STARLING_EIO; b < a; b++)
            ck_assert_str_ne(starling_strerror(a), starling_strerror(b));
    }
    ck_assert_ptr_nonnull(starling_strerror(-1000));
    ck_assert_ptr_nonnull(starling_strerror(1000));
}
END_TEST

START_TEST(the_version_is_that_of_the_header)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", STARLING_VERSION_MAJOR, STARLING_VERSION_MINOR,
             STARLING_VERSION_PATCH);
    ck_assert_str_eq(starling_version(), text);
}
END_TEST

static void *text_of_a_new_thread(void *arg)
{
    *(bool *)arg = starling_error_text()[0] == '\0';
    return NULL;
}

START_TEST(a_thread_without_a_failure_has_no_text)
{
    pthread_t thread;
    bool empty = false;
    refuses(STARLING_EINVAL, starling_open(NULL, NULL)); /* ours, not the other's */
    ck_assert_int_eq(pthread_create(&thread, NULL, text_of_a_new_thread, &empty), 0);
    pthread_join(thread, NULL);
    ck_assert(empty);
}
END_TEST

/* ---- NULL --------------------------------------------------------------------------------- */

START_TEST(closing_nothing_does_nothing)
{
    starling_close(NULL);
    starling_deregister(NULL);
    starling_view_close(NULL);
    starling_watch_close(NULL);
}
END_TEST

START_TEST(a_missing_handle_is_invalid)
{
    starling_service s = {.name = "s", .port = 1};
    starling_view *view;
    starling_watch *watch;
    starling_instance who;
    starling_event event;
    char value[8];
    size_t n;
    refuses(STARLING_EINVAL, starling_wait_members(NULL, 1, 0));
    refuses(STARLING_EINVAL, starling_members(NULL, 0, NULL, &n));
    refuses(STARLING_EINVAL, starling_register(NULL, &s, NULL));
    refuses(STARLING_EINVAL, starling_set_health(NULL, STARLING_PASSING, NULL));
    refuses(STARLING_EINVAL, starling_set_weight(NULL, 1));
    refuses(STARLING_EINVAL, starling_renew(NULL));
    refuses(STARLING_EINVAL, starling_report_load(NULL, 0.5, 0));
    refuses(STARLING_EINVAL, starling_drain(NULL, 0));
    refuses(STARLING_EINVAL, starling_view_open(NULL, "s", NULL, &view));
    refuses(STARLING_EINVAL, starling_pick(NULL, &who));
    refuses(STARLING_EINVAL, starling_view_list(NULL, 0, NULL, &n));
    refuses(STARLING_EINVAL, starling_instance_meta(NULL, &who, "k", sizeof value, value));
    refuses(STARLING_EINVAL, starling_wait_fit(NULL, 1, 0));
    refuses(STARLING_EINVAL, starling_watch_open(NULL, NULL, &watch));
    refuses(STARLING_EINVAL, starling_watch_fd(NULL));
    refuses(STARLING_EINVAL, starling_watch_next(NULL, &event));
    ck_assert_str_eq(starling_node_flock(NULL), "");
    ck_assert_str_eq(starling_node_name(NULL), "");
    ck_assert_str_eq(starling_node_id(NULL), "");
    ck_assert_str_eq(starling_node_address(NULL), "");
}
END_TEST

START_TEST(a_missing_output_is_invalid)
{
    starling_node *node = flock_open(&f);
    starling_view *view = view_of(node, "s");
    starling_watch *watch;
    starling_instance who = {.port = 1};
    char value[8];
    size_t n;
    must(starling_watch_open(node, NULL, &watch));
    refuses(STARLING_EINVAL, starling_open(NULL, NULL));
    refuses(STARLING_EINVAL, starling_members(node, 0, NULL, NULL));
    refuses(STARLING_EINVAL, starling_members(node, 1, NULL, &n));
    refuses(STARLING_EINVAL, starling_view_open(node, "s", NULL, NULL));
    refuses(STARLING_EINVAL, starling_view_open(node, NULL, NULL, &view));
    refuses(STARLING_EINVAL, starling_pick_sized(view, NULL, sizeof who));
    refuses(STARLING_EINVAL, starling_view_list(view, 0, NULL, NULL));
    refuses(STARLING_EINVAL, starling_view_list_sized(view, 1, NULL, sizeof who, &n));
    refuses(STARLING_EINVAL, starling_instance_meta_sized(view, NULL, sizeof who, "k", 8, value));
    refuses(STARLING_EINVAL, starling_instance_meta(view, &who, NULL, 8, value));
    refuses(STARLING_EINVAL, starling_instance_meta(view, &who, "k", 8, NULL));
    refuses(STARLING_EINVAL, starling_instance_meta(view, &who, "k", 8, value));
    refuses(STARLING_EINVAL, starling_watch_open(node, NULL, NULL));
    refuses(STARLING_EINVAL, starling_watch_next_sized(watch, NULL, sizeof(starling_event)));
}
END_TEST

/* ---- services ----------------------------------------------------------------------------- */

#define TEXT_64 "0123456789012345678901234567890123456789012345678901234567890123"

START_TEST(a_service_that_cannot_be_is_refused)
{
    const struct starling_meta no_key = {NULL, "v"}, empty_key = {"", "v"}, no_value = {"k", NULL};
    const struct starling_meta twice[] = {{"k", "1"}, {"k", "2"}};
    const starling_service bad[] = {
        {.port = 1},
        {.name = "", .port = 1},
        {.name = "Upper", .port = 1},
        {.name = "spa ce", .port = 1},
        {.name = TEXT_64, .port = 1},
        {.name = "s"},
        {.name = "s", .port = 65536},
        {.name = "s", .port = 1, .tenant = "Acme"},
        {.name = "s", .port = 1, .host = "localhost"},
        {.name = "s", .port = 1, .host = "10.0.0.1:80"},
        {.name = "s", .port = 1, .host = "0.0.0.0"},
        {.name = "s", .port = 1, .version = TEXT_64},
        {.name = "s", .port = 1, .weight = 1001},
        {.name = "s", .port = 1, .health = (enum starling_health)3},
        {.name = "s", .port = 1, .n_meta = 1},
        {.name = "s", .port = 1, .meta = &no_key, .n_meta = 1},
        {.name = "s", .port = 1, .meta = &empty_key, .n_meta = 1},
        {.name = "s", .port = 1, .meta = &no_value, .n_meta = 1},
        {.name = "s", .port = 1, .meta = twice, .n_meta = 2},
    };
    starling_node *node = flock_open(&f);
    starling_registration *reg = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int r = starling_register(node, &bad[i], &reg);
        ck_assert_msg(r == STARLING_EINVAL, "case %zu: %d (%s)", i, r, starling_error_text());
        ck_assert_ptr_null(reg);
    }
    refuses(STARLING_EINVAL, starling_register_sized(node, NULL, sizeof bad[0], NULL));
}
END_TEST

START_TEST(metadata_beyond_the_limits_is_refused)
{
    struct starling_meta pairs[STARLING_META_PAIRS_MAX + 1];
    char keys[STARLING_META_PAIRS_MAX + 1][8], long_text[STARLING_META_BYTES_MAX + 1];
    starling_service s = {.name = "s", .port = 1, .meta = pairs};
    starling_node *node = flock_open(&f);
    for (size_t i = 0; i <= STARLING_META_PAIRS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "k%zu", i);
        pairs[i] = (struct starling_meta){keys[i], "v"};
    }
    s.n_meta = STARLING_META_PAIRS_MAX + 1;
    refuses(STARLING_ELIMIT, starling_register(node, &s, NULL));
    memset(long_text, 'v', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    pairs[0].value = long_text;
    s.n_meta = 1;
    refuses(STARLING_ELIMIT, starling_register(node, &s, NULL));
    pairs[0] = (struct starling_meta){long_text, ""};
    refuses(STARLING_ELIMIT, starling_register(node, &s, NULL));
}
END_TEST

START_TEST(one_service_is_offered_once_by_a_node)
{
    starling_node *node = flock_open(&f);
    starling_registration *reg = offer(node, "s", 1);
    starling_service s = {.name = "s", .tenant = "default", .port = 2};
    refuses(STARLING_EEXIST, starling_register(node, &s, NULL));
    starling_deregister(reg);
    must(starling_register(node, &s, NULL));
}
END_TEST

START_TEST(health_and_weight_that_are_none_are_refused)
{
    starling_registration *reg = offer(flock_open(&f), "s", 1);
    refuses(STARLING_EINVAL, starling_set_health(reg, (enum starling_health)3, NULL));
    refuses(STARLING_EINVAL, starling_set_health(reg, (enum starling_health) - 1, NULL));
    refuses(STARLING_EINVAL, starling_set_weight(reg, 1001));
}
END_TEST

START_TEST(names_that_are_none_are_refused)
{
    starling_node *node = flock_open(&f);
    starling_view_options o = {.tenant = "No"};
    starling_watch_filter filter = {.service = "No"};
    starling_view *view = NULL;
    starling_watch *watch = NULL;
    refuses(STARLING_EINVAL, starling_view_open(node, "No", NULL, &view));
    refuses(STARLING_EINVAL, starling_view_open(node, "yes", &o, &view));
    refuses(STARLING_EINVAL, starling_watch_open(node, &filter, &watch));
    ck_assert_ptr_null(view);
    ck_assert_ptr_null(watch);
}
END_TEST

START_TEST(a_service_offered_by_nobody_fit_is_unavailable)
{
    starling_node *node = flock_open(&f);
    starling_view *view = view_of(node, "s");
    starling_instance who;
    refuses(STARLING_ENOENT, starling_pick(view, &who));
    must(starling_set_weight(offer(node, "s", 1), 0));
    until(pick_says(view) == STARLING_EUNAVAIL);
    refuses(STARLING_EUNAVAIL, starling_pick(view, &who));
    refuses(STARLING_ETIMEDOUT, starling_wait_fit(view, 1, 10));
    refuses(STARLING_ETIMEDOUT, starling_wait_members(node, 2, 10));
}
END_TEST

/* ---- opening ------------------------------------------------------------------------------ */

/* Fails as it should, and leaves no descriptor and no file behind. */
static void open_refuses(int code, const starling_options *o, int line)
{
    char dir[128];
    starling_node *node = NULL;
    size_t before = count_descriptors();
    int r = starling_open(o, &node);
    ck_assert_msg(r == code, "line %d: %d (%s), not %d", line, r, starling_error_text(), code);
    ck_assert_str_ne(starling_error_text(), "");
    ck_assert_ptr_null(node);
    ck_assert_msg(count_descriptors() == before, "line %d: %zu descriptors, not %zu", line,
                  count_descriptors(), before);
    snprintf(dir, sizeof dir, "%s/test", f.runtime);
    ck_assert_msg(count_entries(dir, ".addr") == 0, "line %d: an address file stays", line);
    ck_assert_msg(count_entries(dir, ".sock") == 0, "line %d: a socket stays", line);
}
#define open_refuses(code, o) open_refuses(code, o, __LINE__)

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

START_TEST(settings_that_cannot_be_are_invalid)
{
    starling_options o = flock_options(&f, "No Such Name");
    open_refuses(STARLING_EINVAL, &o);
    o = flock_options(&f, "a");
    o.flock = "No";
    open_refuses(STARLING_EINVAL, &o);
    o = flock_options(&f, "a");
    o.listen = "127.0.0.1:99999";
    open_refuses(STARLING_EINVAL, &o);
    o = flock_options(&f, "a");
    o.seeds = ":";
    open_refuses(STARLING_EINVAL, &o);
    o = flock_options(&f, "a");
    o.config_file = "/nonexistent/starling.conf";
    starling_node *node;
    ck_assert_int_lt(starling_open(&o, &node), 0);
}
END_TEST

START_TEST(a_variable_that_cannot_be_is_named)
{
    starling_options o = flock_options(&f, NULL);
    setenv("STARLING_NAME", "No Such Name", 1);
    open_refuses(STARLING_EINVAL, &o);
    ck_assert_ptr_nonnull(strstr(starling_error_text(), "STARLING_NAME"));
}
END_TEST

START_TEST(an_address_in_use_is_unavailable)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    char text[32];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(a.sin_port));
    starling_options o = flock_options(&f, "a");
    o.listen = text;
    open_refuses(STARLING_EUNAVAIL, &o);
    close(fd);
}
END_TEST

START_TEST(an_address_of_another_host_is_unavailable)
{
    starling_options o = flock_options(&f, "a");
    o.listen = "192.0.2.1:0"; /* RFC 5737: nobody's */
    open_refuses(STARLING_EUNAVAIL, &o);
}
END_TEST

START_TEST(a_damaged_authority_is_never_replaced)
{
    char path[128], text[16] = "";
    starling_options o = flock_options(&f, "a");
    ck_assert_int_eq(mkdir(f.config, 0700), 0);
    snprintf(path, sizeof path, "%s/authority", f.config);
    write_file(path, "damaged", 0600);
    open_refuses(STARLING_EAUTH, &o);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    fclose(file);
    ck_assert_str_eq(text, "damaged");
}
END_TEST

START_TEST(an_authority_that_others_can_read_is_not_trusted)
{
    char path[128];
    starling_node *node;
    starling_options o = flock_options(&f, "a");
    must(starling_open(&o, &node)); /* makes it */
    starling_close(node);
    snprintf(path, sizeof path, "%s/authority", f.config);
    ck_assert_int_eq(chmod(path, 0644), 0);
    open_refuses(STARLING_EAUTH, &o);
}
END_TEST

START_TEST(missing_credentials_are_an_error)
{
    starling_node *node;
    starling_options o = flock_options(&f, "a");
    o.credentials = "/nonexistent/credentials";
    ck_assert_int_lt(starling_open(&o, &node), 0);
    open_refuses(STARLING_EAUTH, &o);
}
END_TEST

START_TEST(a_runtime_directory_that_is_a_file_is_an_error)
{
    starling_node *node;
    starling_options o = flock_options(&f, "a");
    size_t before = count_descriptors();
    write_file(f.runtime, "", 0600);
    int r = starling_open(&o, &node);
    ck_assert_msg(r == STARLING_EIO || r == STARLING_EAUTH, "%d (%s)", r, starling_error_text());
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(a_runtime_directory_open_to_others_is_not_trusted)
{
    starling_options o = flock_options(&f, "a");
    ck_assert_int_eq(mkdir(f.runtime, 0700), 0);
    ck_assert_int_eq(chmod(f.runtime, 0777), 0);
    open_refuses(STARLING_EAUTH, &o);
}
END_TEST

START_TEST(a_state_directory_that_is_a_file_is_an_error)
{
    char state[128];
    starling_node *node;
    starling_options o = flock_options(&f, "a");
    snprintf(state, sizeof state, "%s/state", f.dir);
    o.state_dir = state;
    write_file(state, "", 0600);
    int r = starling_open(&o, &node);
    ck_assert_msg(r == STARLING_EIO || r == STARLING_EAUTH, "%d (%s)", r, starling_error_text());
}
END_TEST

START_TEST(a_path_too_long_for_a_socket_is_named_as_such)
{
    char deep[256];
    starling_options o = flock_options(&f, "a");
    int len = snprintf(deep, sizeof deep, "%s/", f.dir);
    memset(deep + len, 'd', 120);
    deep[len + 120] = '\0';
    o.runtime_dir = deep;
    open_refuses(STARLING_ELIMIT, &o);
}
END_TEST

START_TEST(too_few_descriptors_are_a_limit_at_every_number)
{
    /* From none to spare to plenty: refused in order, never aborted, nothing left behind. */
    starling_options o = flock_options(&f, "a");
    struct rlimit limit;
    starling_node *node;
    must(starling_open(&o, &node));
    starling_close(node);
    size_t open_now = count_descriptors();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    bool opened = false;
    for (size_t spare = 1; spare <= 256 && !opened; spare++) {
        struct rlimit low = {.rlim_cur = open_now + spare, .rlim_max = limit.rlim_max};
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
        int r = starling_open(&o, &node);
        ck_assert_msg(r == 0 || r == STARLING_ELIMIT || r == STARLING_EIO, "%zu spare: %d (%s)",
                      spare, r, starling_error_text());
        opened = r == 0;
        if (opened)
            starling_close(node);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_uint_eq(count_descriptors(), open_now);
    }
    ck_assert_msg(opened, "256 spare descriptors are not enough for a node");
}
END_TEST

/* ---- fork --------------------------------------------------------------------------------- */

#define child_expects(code, call)                                                                  \
    do {                                                                                           \
        if ((call) != (code))                                                                      \
            _exit(__LINE__ % 250 + 1);                                                             \
    } while (0)

static void child_succeeds(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x, line %% 250 = %d",
                  status, WEXITSTATUS(status) - 1);
}

START_TEST(a_forked_child_is_told_that_the_node_is_not_its_own)
{
    starling_node *node = flock_open(&f);
    starling_view *view = view_of(node, "s");
    starling_registration *reg = offer(node, "s", 1);
    starling_service s = {.name = "t", .port = 2};
    starling_instance who = {.port = 1};
    starling_view *other;
    starling_watch *watch;
    starling_event event;
    char value[8];
    size_t n;
    must(starling_watch_open(node, NULL, &watch));
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        child_expects(STARLING_EFORK, starling_wait_members(node, 1, 0));
        child_expects(STARLING_EFORK, starling_members(node, 0, NULL, &n));
        child_expects(STARLING_EFORK, starling_register(node, &s, NULL));
        child_expects(STARLING_EFORK, starling_set_health(reg, STARLING_PASSING, NULL));
        child_expects(STARLING_EFORK, starling_set_weight(reg, 1));
        child_expects(STARLING_EFORK, starling_renew(reg));
        child_expects(STARLING_EFORK, starling_report_load(reg, 0.5, 0));
        child_expects(STARLING_EFORK, starling_drain(node, 0));
        child_expects(STARLING_EFORK, starling_view_open(node, "s", NULL, &other));
        child_expects(STARLING_EFORK, starling_pick(view, &who));
        child_expects(STARLING_EFORK, starling_view_list(view, 0, NULL, &n));
        child_expects(STARLING_EFORK, starling_instance_meta(view, &who, "k", 8, value));
        child_expects(STARLING_EFORK, starling_wait_fit(view, 1, 0));
        child_expects(STARLING_EFORK, starling_watch_open(node, NULL, &watch));
        child_expects(STARLING_EFORK, starling_watch_fd(watch));
        child_expects(STARLING_EFORK, starling_watch_next(watch, &event));
        starling_deregister(reg);
        starling_view_close(view);
        starling_watch_close(watch);
        starling_close(node);
        _exit(0);
    }
    child_succeeds(child);
    must(starling_pick(view, &who)); /* the parent's is as it was */
}
END_TEST

/* A sanitizer's allocator may be locked when its process forks; in the child it stays locked. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
START_TEST(a_forked_child_may_open_a_node_of_its_own)
{
    starling_node *own;
    (void)flock_open(&f);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        starling_options o = flock_options(&f, "child");
        child_expects(0, starling_open(&o, &own));
        child_expects(0, starling_wait_members(own, 2, PATIENCE_MS));
        starling_close(own);
        _exit(0);
    }
    child_succeeds(child);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("errors");
    TCase *tc = tcase_create("errors");
    tcase_set_timeout(tc, 90);
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, every_code_has_a_text_of_its_own);
    tcase_add_test(tc, the_version_is_that_of_the_header);
    tcase_add_test(tc, a_thread_without_a_failure_has_no_text);
    tcase_add_test(tc, closing_nothing_does_nothing);
    tcase_add_test(tc, a_missing_handle_is_invalid);
    tcase_add_test(tc, a_missing_output_is_invalid);
    tcase_add_test(tc, a_service_that_cannot_be_is_refused);
    tcase_add_test(tc, metadata_beyond_the_limits_is_refused);
    tcase_add_test(tc, one_service_is_offered_once_by_a_node);
    tcase_add_test(tc, health_and_weight_that_are_none_are_refused);
    tcase_add_test(tc, names_that_are_none_are_refused);
    tcase_add_test(tc, a_service_offered_by_nobody_fit_is_unavailable);
    tcase_add_test(tc, settings_that_cannot_be_are_invalid);
    tcase_add_test(tc, a_variable_that_cannot_be_is_named);
    tcase_add_test(tc, an_address_in_use_is_unavailable);
    tcase_add_test(tc, an_address_of_another_host_is_unavailable);
    tcase_add_test(tc, a_damaged_authority_is_never_replaced);
    tcase_add_test(tc, an_authority_that_others_can_read_is_not_trusted);
    tcase_add_test(tc, missing_credentials_are_an_error);
    tcase_add_test(tc, a_runtime_directory_that_is_a_file_is_an_error);
    tcase_add_test(tc, a_runtime_directory_open_to_others_is_not_trusted);
    tcase_add_test(tc, a_state_directory_that_is_a_file_is_an_error);
    tcase_add_test(tc, a_path_too_long_for_a_socket_is_named_as_such);
    tcase_add_test(tc, too_few_descriptors_are_a_limit_at_every_number);
    tcase_add_test(tc, a_forked_child_is_told_that_the_node_is_not_its_own);
#ifndef SANITIZED
    tcase_add_test(tc, a_forked_child_may_open_a_node_of_its_own);
#endif
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
