/* test_check_http.c: what HTTP answers say about health, whole, cut anywhere, or damaged. */
#include "node/check_http.h"
#include "tests/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct sl_http h;
static char request[SL_HTTP_REQUEST_MAX];
static const struct sl_addr here = {.family = 4, .ip = {127, 0, 0, 1}, .port = 8080};

static void expect(unsigned status, const char *body)
{
    ck_assert_ptr_null(sl_http_init(&h, "/health?deep=1", status, body));
    size_t len = sl_http_request(&h, &here, request);
    ck_assert_uint_eq(len, strlen(request));
}

/* The answer in pieces of `size` bytes, and the end of the connection. */
static void answers_by(const char *text, size_t size)
{
    size_t len = strlen(text);
    (void)sl_http_request(&h, &here, request);
    for (size_t at = 0; at < len; at += size) {
        size_t n = len - at < size ? len - at : size;
        if (sl_http_receive(&h, (const uint8_t *)text + at, n))
            return;
    }
    sl_http_ended(&h);
}

/* The same verdict, however the answer is cut. */
static void says(const char *text, enum starling_health health, const char *note)
{
    static const size_t sizes[] = {100000, 1, 2, 3, 7};
    for (size_t i = 0; i < SL_COUNT(sizes); i++) {
        answers_by(text, sizes[i]);
        ck_assert_int_eq(h.state, SL_HTTP_DONE);
        ck_assert_msg(h.health == health && strcmp(h.note, note) == 0,
                      "pieces of %zu: health %d \"%s\", not %d \"%s\"", sizes[i], (int)h.health,
                      h.note, (int)health, note);
    }
}

#define OK_HEADER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

START_TEST(the_request_is_a_plain_get)
{
    expect(0, NULL);
    ck_assert_ptr_nonnull(strstr(request, "GET /health?deep=1 HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nHost: 127.0.0.1:8080\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nConnection: close\r\n"));
    ck_assert_str_eq(request + strlen(request) - 4, "\r\n\r\n");
}
END_TEST

START_TEST(any_2xx_passes_unless_a_status_is_named)
{
    expect(0, NULL);
    says(OK_HEADER "\r\n", STARLING_PASSING, "");
    says("HTTP/1.0 204\r\n\r\n", STARLING_PASSING, "");
    says("HTTP/1.1 503 Service Unavailable\r\n\r\n", STARLING_CRITICAL, "HTTP 503");
    says("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", STARLING_CRITICAL, "HTTP 302");
    says("HTTP/1.1 429 Too Many Requests\r\n\r\n", STARLING_WARNING, "HTTP 429");
    expect(401, NULL);
    says("HTTP/1.1 401 Unauthorized\r\n\r\n", STARLING_PASSING, "");
    says(OK_HEADER "\r\n", STARLING_CRITICAL, "HTTP 200");
}
END_TEST

START_TEST(lines_may_end_without_a_carriage_return)
{
    expect(0, "ready");
    says("HTTP/1.1 200 OK\nX: y\n\nready", STARLING_PASSING, "");
}
END_TEST

START_TEST(interim_answers_are_passed_over)
{
    expect(0, "ready");
    says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK_HEADER
         "\r\nready",
         STARLING_PASSING, "");
}
END_TEST

START_TEST(a_text_is_found_in_the_body_and_only_there)
{
    expect(0, "ready");
    says(OK_HEADER "\r\nis it ready? yes", STARLING_PASSING, "");
    says(OK_HEADER "\r\nrereready", STARLING_PASSING, "");
    says(OK_HEADER "X: ready\r\n\r\nno", STARLING_CRITICAL, "body lacks \"ready\"");
    says(OK_HEADER "Content-Length: 4\r\n\r\nreadready", STARLING_CRITICAL, "body lacks \"ready\"");
    says(OK_HEADER "content-length: 5\r\n\r\nready", STARLING_PASSING, "");
    says(OK_HEADER "Content-Length: 0\r\n\r\n", STARLING_CRITICAL, "body lacks \"ready\"");
}
END_TEST

START_TEST(a_text_that_repeats_itself_is_found)
{
    expect(0, "ababac");
    says(OK_HEADER "\r\nabababac", STARLING_PASSING, "");
    says(OK_HEADER "\r\nababaabac", STARLING_CRITICAL, "body lacks \"ababac\"");
}
END_TEST

START_TEST(a_text_that_chunks_cut_in_two_is_found)
{
    expect(0, "ready");
    says(OK_HEADER "Transfer-Encoding: Chunked\r\n\r\n3\r\nrea\r\n2;x=y\r\ndy\r\n0\r\n\r\n",
         STARLING_PASSING, "");
    says(OK_HEADER "transfer-encoding: chunked\r\n\r\nA\r\nrea0123456\r\n2\r\ndy\r\n0\r\n\r\n",
         STARLING_CRITICAL, "body lacks \"ready\"");
    says(OK_HEADER "transfer-encoding: chunked\r\n\r\nzz\r\nready\r\n", STARLING_CRITICAL,
         "the chunks of the HTTP answer are damaged");
}
END_TEST

START_TEST(half_an_answer_is_none)
{
    expect(0, NULL);
    says("", STARLING_CRITICAL, "closed without an HTTP answer");
    says("HTTP/1.1 200 OK\r\nContent-", STARLING_CRITICAL, "the HTTP answer ended in its header");
    says("HTTP/1.1 20", STARLING_CRITICAL, "the HTTP answer ended in its header");
    expect(0, "ready");
    says(OK_HEADER "\r\nread", STARLING_CRITICAL, "body lacks \"ready\"");
}
END_TEST

START_TEST(what_is_not_http_is_told_from_its_first_bytes)
{
    expect(0, NULL);
    says("SSH-2.0-OpenSSH_9.2\r\n", STARLING_CRITICAL, "the answer is not HTTP");
    says("HTTP/2.0 200 OK\r\n\r\n", STARLING_CRITICAL, "the answer is not HTTP");
    says("HTTP/1.1 2x0 OK\r\n\r\n", STARLING_CRITICAL, "the answer is not HTTP");
    says("HTTP/1.1 2000\r\n\r\n", STARLING_CRITICAL, "the answer is not HTTP");
    const uint8_t garbage[] = {0xff, 0, 0x16, 3};
    (void)sl_http_request(&h, &here, request);
    ck_assert(sl_http_receive(&h, garbage, sizeof garbage));
    ck_assert_int_eq((int)h.health, STARLING_CRITICAL);
}
END_TEST

/* Feed the beginning, then `piece` for ever: how many bytes until there is a verdict? */
static size_t flood(const char *head, const char *piece)
{
    size_t n = strlen(head);
    (void)sl_http_request(&h, &here, request);
    if (sl_http_receive(&h, (const uint8_t *)head, n))
        return n;
    while (n < 10 * SL_HTTP_TOTAL_MAX) {
        n += strlen(piece);
        if (sl_http_receive(&h, (const uint8_t *)piece, strlen(piece)))
            return n;
    }
    return n;
}

START_TEST(endless_answers_come_to_an_end)
{
    expect(0, NULL);
    ck_assert_uint_le(flood("HTTP/1.1 200 OK\r\n", "X: y\r\n"), SL_HTTP_HEADER_MAX + 8);
    ck_assert_str_eq(h.note, "the header of the HTTP answer does not end");
    ck_assert_uint_le(flood("HTTP/1.1 200 OK\r\nX: ", "yyyyyyyy"), SL_HTTP_HEADER_MAX + 8);
    ck_assert_uint_le(flood("", "HTTP/1.1 100 Continue\r\n\r\n"), SL_HTTP_HEADER_MAX + 32);
    expect(0, "ready");
    ck_assert_uint_le(flood(OK_HEADER "\r\n", "zzzz"), SL_HTTP_BODY_MAX + 64);
    ck_assert_str_eq(h.note, "body lacks \"ready\"");
    ck_assert_uint_le(flood(OK_HEADER "Transfer-Encoding: chunked\r\n\r\n", "1;xxxxxxxx\r\nz\r\n"),
                      SL_HTTP_TOTAL_MAX + 32);
    ck_assert_uint_le(flood(OK_HEADER "Transfer-Encoding: chunked\r\n\r\n", "11111111"),
                      SL_HTTP_TOTAL_MAX + 32);
}
END_TEST

START_TEST(the_text_counts_within_64_kib_and_not_behind)
{
    static char answer[SL_HTTP_BODY_MAX + 256];
    static const char head[] = OK_HEADER "\r\n";
    size_t at = sizeof head - 1;
    expect(0, "ready");
    memset(answer, 'z', sizeof answer - 1);
    memcpy(answer, head, at);
    memcpy(answer + at + SL_HTTP_BODY_MAX - 5, "ready", 5);
    answers_by(answer, 4096);
    ck_assert_int_eq((int)h.health, STARLING_PASSING);
    memset(answer + at + SL_HTTP_BODY_MAX - 5, 'z', 5);
    memcpy(answer + at + SL_HTTP_BODY_MAX - 4, "ready", 5);
    answers_by(answer, 4096);
    ck_assert_int_eq((int)h.health, STARLING_CRITICAL);
}
END_TEST

/* Answers from a generator: none crashes, every one gets a verdict. Damaged from good ones, so
 * that they reach every state. */
START_TEST(damaged_answers_get_a_verdict)
{
    static const char *const good[] = {
        OK_HEADER "Content-Length: 5\r\n\r\nready",
        OK_HEADER "Transfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nready"};
    uint64_t x = 88172645463325252u;
    for (unsigned i = 0; i < 200000; i++) {
        char text[256];
        size_t len = strlen(good[i % SL_COUNT(good)]);
        memcpy(text, good[i % SL_COUNT(good)], len + 1);
        for (unsigned k = 0; k < 1 + i % 4; k++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17; /* xorshift (Marsaglia 2003) */
            text[x % len] = (char)(x >> 32);
        }
        if (i % 100 == 0)
            expect(0, i % 200 == 0 ? "ready" : NULL);
        (void)sl_http_request(&h, &here, request);
        if (!sl_http_receive(&h, (const uint8_t *)text, len))
            sl_http_ended(&h);
        ck_assert_int_eq(h.state, SL_HTTP_DONE);
        ck_assert((unsigned)h.health <= STARLING_CRITICAL);
    }
}
END_TEST

START_TEST(wrong_expectations_are_refused_in_words)
{
    char text[2000];
    memset(text, 'a', sizeof text - 1);
    text[0] = '/';
    text[sizeof text - 1] = '\0';
    ck_assert_ptr_nonnull(sl_http_init(&h, "health", 0, NULL));
    ck_assert_ptr_nonnull(sl_http_init(&h, "", 0, NULL));
    ck_assert_ptr_nonnull(sl_http_init(&h, "/a b", 0, NULL));
    ck_assert_ptr_nonnull(sl_http_init(&h, "/a\r\nX: y", 0, NULL));
    ck_assert_ptr_nonnull(sl_http_init(&h, text, 0, NULL));
    ck_assert_ptr_nonnull(sl_http_init(&h, "/", 100, NULL));
    ck_assert_ptr_nonnull(sl_http_init(&h, "/", 600, NULL));
    ck_assert_ptr_nonnull(sl_http_init(&h, "/", 0, text));
    text[SL_HTTP_PATH_MAX - 1] = '\0';
    ck_assert_ptr_null(sl_http_init(&h, text, 0, NULL));
    ck_assert_uint_lt(sl_http_request(&h, &here, request), sizeof request);
}
END_TEST

START_TEST(a_long_text_is_shortened_in_the_note)
{
    char text[256];
    memset(text, 'a', 255);
    text[255] = '\0';
    memcpy(text + 79, "\xc3\xa4", 2);
    expect(0, text);
    answers_by(OK_HEADER "\r\nno", 1000);
    ck_assert_uint_lt(strlen(h.note), STARLING_NOTE_MAX - 1);
    ck_assert_str_eq(h.note + strlen(h.note) - 5, "a...\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check_http");
    TCase *tc = tcase_create("check_http");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_request_is_a_plain_get);
    tcase_add_test(tc, any_2xx_passes_unless_a_status_is_named);
    tcase_add_test(tc, lines_may_end_without_a_carriage_return);
    tcase_add_test(tc, interim_answers_are_passed_over);
    tcase_add_test(tc, a_text_is_found_in_the_body_and_only_there);
    tcase_add_test(tc, a_text_that_repeats_itself_is_found);
    tcase_add_test(tc, a_text_that_chunks_cut_in_two_is_found);
    tcase_add_test(tc, half_an_answer_is_none);
    tcase_add_test(tc, what_is_not_http_is_told_from_its_first_bytes);
    tcase_add_test(tc, endless_answers_come_to_an_end);
    tcase_add_test(tc, the_text_counts_within_64_kib_and_not_behind);
    tcase_add_test(tc, damaged_answers_get_a_verdict);
    tcase_add_test(tc, wrong_expectations_are_refused_in_words);
    tcase_add_test(tc, a_long_text_is_shortened_in_the_note);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
