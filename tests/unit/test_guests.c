/* test_guests.c: strangers, and members that do not keep to the rules, at a transport's door. */
#include "transport_help.h"

/* ---- strangers -------------------------------------------------------------------------- */

START_TEST(with_another_door_key_nobody_gets_in)
{
    struct side *b = open_side();
    crypto_box_keypair(door_public, door_secret);
    struct side *stranger = open_side();
    sl_link link = dial(stranger, &b->addr);
    (void)say(stranger, link, "let me in");
    /* libzmq gives up after its own 3 s, or our own time-out comes first */
    UNTIL(heard(stranger, SL_HEARD_DOWN, link, NULL));
    ck_assert_uint_eq(b->n, 0);
    ck_assert_uint_eq(stats(b).zap_allowed, 0);
}
END_TEST

START_TEST(garbage_on_the_port_disturbs_nobody)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    unsigned seed = 1;
    for (int i = 0; i < 300; i++) {
        uint8_t junk[300];
        int fd = tcp(&b->addr);
        for (size_t k = 0; k < sizeof junk; k++)
            junk[k] = (uint8_t)(rand_r(&seed) >> 7);
        if (i % 3 == 0) /* looks like the beginning of a greeting */
            memcpy(junk, "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                   32);
        (void)send(fd, junk, 1 + (size_t)rand_r(&seed) % sizeof junk, MSG_NOSIGNAL);
        if (i % 10 == 0)
            turn_all();
        close(fd);
    }
    ck_assert(say(a, p.at_dialler, "after it"));
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "after it"));
    ck_assert_uint_eq(b->n, 3);
    UNTIL(stats(b).half_open == 0);
}
END_TEST

START_TEST(a_silent_connection_is_cut_after_two_seconds)
{
    struct side *b = open_side();
    int fd = tcp(&b->addr);
    UNTIL(stats(b).half_open == 1);
    ck_assert(!has_ended(fd));
    skip(SL_SEC(2));
    UNTIL(has_ended(fd));
    UNTIL(stats(b).half_open == 0);
    ck_assert_uint_eq(stats(b).lobby_evicted, 1);
    close(fd);
}
END_TEST

START_TEST(a_crowd_of_silent_connections_keeps_no_member_out)
{
    int fds[200];
    struct side *a = open_side(), *b = open_side();
    for (size_t i = 0; i < SL_COUNT(fds); i++) {
        fds[i] = tcp(&b->addr);
        turn_all();
        ck_assert_uint_le(stats(b).half_open, 64);
    }
    (void)meet(a, b, "let me in");
    skip(SL_SEC(2));
    UNTIL(stats(b).half_open == 0);
    ck_assert_uint_eq(stats(b).links_in, 1);
    for (size_t i = 0; i < SL_COUNT(fds); i++)
        close(fds[i]);
}
END_TEST

START_TEST(who_is_not_admitted_in_two_seconds_is_cut_and_the_core_hears_of_it)
{
    struct side *a = open_side(), *b = open_side();
    b->admits = false;
    struct pair p = meet(a, b, "m1");
    skip(SL_SEC(2));
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
}
END_TEST

START_TEST(an_admitted_link_stays_for_as_long_as_it_likes)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    skip(SL_SEC(100000));
    ck_assert(say(a, p.at_dialler, "still here"));
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "still here"));
}
END_TEST

START_TEST(a_second_message_in_the_lobby_ends_the_link)
{
    struct side *a = open_side(), *b = open_side();
    b->admits = false;
    struct pair p = meet(a, b, "m1");
    ck_assert(say(a, p.at_dialler, "and another thing"));
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    ck_assert(!heard(b, SL_HEARD_BYTES, 0, "and another thing"));
}
END_TEST

START_TEST(a_first_message_that_is_too_large_is_not_heard)
{
    struct side *a = open_side(), *b = open_side();
    uint8_t big[SL_LOBBY_FRAME_MAX + 1] = {0};
    sl_link link = dial(a, &b->addr);
    ck_assert(sl_transport_send(a->t, link, sl_span_of(big, sizeof big)));
    UNTIL(heard(a, SL_HEARD_DOWN, link, NULL));
    ck_assert_uint_eq(b->n, 0);
    ck_assert_uint_eq(stats(b).oversized, 1);
}
END_TEST

START_TEST(a_link_that_is_cut_when_announced_is_not_heard)
{
    struct side *a = open_side(), *b = open_side();
    sl_link link = dial(a, &b->addr);
    struct sl_heard h;
    bool accepted = false;
    sl_usec until = real_now() + SL_SEC(20);
    ck_assert(say(a, link, "m1"));
    while (!accepted && real_now() < until) {
        hear(a);
        sl_transport_turn(b->t, now());
        accepted = sl_transport_next(b->t, now(), &h);
    }
    ck_assert(accepted);
    ck_assert_int_eq(h.type, SL_HEARD_ACCEPT);
    sl_transport_cut(b->t, h.link);
    UNTIL(heard(a, SL_HEARD_DOWN, link, NULL));
    ck_assert_uint_eq(b->n, 0);
}
END_TEST

/* Turns of `s` alone, in which it does not look at messages. */
#define UNTIL_DEAF(s, condition)                                                                   \
    do {                                                                                           \
        zmq_pollitem_t items_[SL_TRANSPORT_POLL_MAX];                                              \
        sl_usec until_ = real_now() + SL_SEC(20);                                                  \
        while (!(condition) && real_now() < until_) {                                              \
            (void)zmq_poll(items_, (int)sl_transport_poll_items((s)->t, items_), 5);               \
            sl_transport_turn((s)->t, now());                                                      \
        }                                                                                          \
        ck_assert_msg(condition, "not within 20 s: " #condition);                                  \
    } while (0)

static bool has_message(struct side *s)
{
    zmq_pollitem_t items[SL_TRANSPORT_POLL_MAX];
    int n = (int)sl_transport_poll_items(s->t, items), ready = 0;
    (void)zmq_poll(items, n, 0);
    for (int i = 3; i < n; i++) /* behind the monitors and ZAP */
        ready += items[i].revents != 0;
    return ready > 0;
}

START_TEST(more_newcomers_in_one_turn_than_the_lobby_has_places_all_get_in)
{
    void *crowd[50];
    struct side *b = open_side();
    stop_the_clock();
    for (size_t i = 0; i < SL_COUNT(crowd); i++) {
        crowd[i] = raw_open(b, true, NULL, 0);
        ck_assert_int_eq(zmq_send(crowd[i], "m1", 2, 0), 2);
    }
    UNTIL_DEAF(b, stats(b).handshakes >= SL_COUNT(crowd));
    UNTIL(stats(b).links_in == SL_COUNT(crowd));
    ck_assert(!heard(b, SL_HEARD_DOWN, 0, NULL));
    for (size_t i = 0; i < SL_COUNT(crowd); i++)
        raw_close(crowd[i]);
    UNTIL(stats(b).links_in == 0);
}
END_TEST

START_TEST(a_descriptor_used_again_does_not_inherit_what_was_said_before)
{
    struct side *b = open_side();
    int fds[8];
    void *dead = raw_open(b, false, NULL, 0);
    ck_assert_int_eq(zmq_send(dead, "m1", 2, 0), 2);
    UNTIL_DEAF(b, has_message(b));
    for (size_t i = 0; i < SL_COUNT(fds); i++)
        fds[i] = tcp_socket();
    /* What the dead one frees now, the accepting side of the next connections gets. */
    raw_close(dead);
    UNTIL_DEAF(b, stats(b).half_open == 0);
    for (size_t i = 0; i < SL_COUNT(fds); i++)
        tcp_connect(fds[i], &b->addr);
    UNTIL_DEAF(b, stats(b).half_open == SL_COUNT(fds));
    UNTIL(!has_message(b));
    ck_assert_uint_eq(b->n, 0);
    for (size_t i = 0; i < SL_COUNT(fds); i++)
        close(fds[i]);
}
END_TEST

START_TEST(a_message_of_several_frames_ends_the_link)
{
    struct side *b = open_side();
    void *early = raw_open(b, false, NULL, 0);
    zmq_send(early, "m1", 2, ZMQ_SNDMORE);
    zmq_send(early, "m2", 2, 0);
    UNTIL(stats(b).multipart == 1);
    ck_assert_uint_eq(b->n, 0);

    void *late = raw_open(b, false, NULL, 0);
    zmq_send(late, "m1", 2, 0);
    UNTIL(heard(b, SL_HEARD_BYTES, 0, "m1"));
    for (int i = 0; i < 9; i++)
        zmq_send(late, "m2", 2, ZMQ_SNDMORE);
    zmq_send(late, "m2", 2, 0);
    UNTIL(heard(b, SL_HEARD_DOWN, 0, NULL));
    ck_assert(!heard(b, SL_HEARD_BYTES, 0, "m2"));
    UNTIL(stats(b).half_open + stats(b).links_in == 0);
    raw_close(early);
    raw_close(late);
}
END_TEST

START_TEST(a_peer_that_brings_a_routing_id_is_cut)
{
    struct side *b = open_side();
    void *named = raw_open(b, false, "me", 2), *posing = raw_open(b, false, "\0\1\2\3\4", 5);
    zmq_send(named, "m1", 2, 0);
    zmq_send(posing, "m1", 2, 0);
    UNTIL(stats(b).brought_identity == 2);
    UNTIL(stats(b).half_open == 0);
    ck_assert_uint_eq(b->n, 0);
    raw_close(named);
    raw_close(posing);
}
END_TEST

START_TEST(a_dial_that_is_turned_away_at_the_gate_knocks_again_until_it_is_let_in)
{
    struct side *a = open_side(), *b = open_side();
    for (int i = 0; i < 1000 && stats(b).held_off == 0; i++) {
        close(tcp(&b->addr));
        turn_all();
    }
    ck_assert_uint_eq(stats(b).held_off, 1);
    bool knocked = false;
    for (int i = 0; i < 100 && !knocked; i++) {
        const uint64_t before = stats(a).handshakes_failed;
        char text[32];
        snprintf(text, sizeof text, "round %d", i);
        sl_link link = dial(a, &b->addr);
        (void)say(a, link, text);
        UNTIL(heard(b, SL_HEARD_BYTES, 0, text) || heard(a, SL_HEARD_DOWN, link, NULL));
        knocked = heard(b, SL_HEARD_BYTES, 0, text) && stats(a).handshakes_failed > before;
        sl_transport_cut(a->t, link);
        (void)zmq_poll(NULL, 0, 20); /* the address rests */
    }
    ck_assert(knocked);
    ck_assert_uint_ge(stats(b).turned_away, 1);
}
END_TEST

START_TEST(who_was_barred_is_refused_in_the_handshake_for_a_while_and_nobody_else_is)
{
    struct side *a = open_side(), *b = open_side(), *c = open_side();
    struct pair p = meet(a, b, "m1");
    sl_transport_bar(b->t, now(), p.at_acceptor);
    sl_transport_cut(b->t, p.at_acceptor);
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    for (int i = 0; i < 100 && stats(b).zap_barred == 0; i++) {
        sl_link again = dial(a, &b->addr); /* fails while the address rests */
        (void)say(a, again, "m1 again");
        UNTIL(heard(a, SL_HEARD_DOWN, again, NULL));
        (void)zmq_poll(NULL, 0, 20);
    }
    ck_assert_uint_eq(stats(b).zap_barred, 1);
    ck_assert_uint_eq(stats(b).zap_allowed, 1);
    ck_assert(!heard(b, SL_HEARD_BYTES, 0, "m1 again"));
    (void)meet(c, b, "somebody else");
    skip(SL_SEC(10));
    (void)meet(a, b, "after ten seconds");
}
END_TEST

/* ---- opening ---------------------------------------------------------------------------- */

START_TEST(an_address_in_use_is_named)
{
    struct side *a = open_side();
    struct sl_transport *t = NULL;
    struct sl_addr bound;
    char text[SL_ADDR_TEXT];
    sl_addr_format(text, &a->addr);
    int r = sl_transport_open(&a->addr, &a->identity, &sl_alloc_system, &silent, &t, &bound);
    ck_assert_int_eq(r, STARLING_EUNAVAIL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), text));
    ck_assert_ptr_null(t);

    struct sl_addr foreign = {.family = 4, .ip = {192, 0, 2, 1}, .port = 7700};
    r = sl_transport_open(&foreign, &a->identity, &sl_alloc_system, &silent, &t, &bound);
    ck_assert_int_eq(r, STARLING_EUNAVAIL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "192.0.2.1:7700"));
}
END_TEST

START_TEST(without_free_descriptors_nothing_is_opened)
{
    struct side *a = open_side();
    struct sl_transport *t;
    struct sl_addr bound, at = {.family = 4, .ip = {127, 0, 0, 1}};
    struct rlimit old, low;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 60;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    int r = sl_transport_open(&at, &a->identity, &sl_alloc_system, &silent, &t, &bound);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_int_eq(r, STARLING_ELIMIT);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "descriptors"));
}
END_TEST

START_TEST(a_peer_is_cut_at_the_descriptor_limit_too)
{
    struct side *a = open_side(), *b = open_side();
    int held[512];
    size_t n = 0;
    struct rlimit old, low;
    b->admits = false;
    struct pair p = meet(a, b, "m1");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 256;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n < SL_COUNT(held) && (held[n] = dup(0)) >= 0)
        n++;
    skip(SL_SEC(2));
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    while (n > 0)
        close(held[--n]);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}
END_TEST

START_TEST(the_hosts_random_numbers_go_on_as_if_nothing_had_been_opened)
{
    srandom(42);
    long undisturbed[4], seen[4];
    for (size_t i = 0; i < SL_COUNT(undisturbed); i++)
        undisturbed[i] = random();
    srandom(42);
    for (size_t i = 0; i < SL_COUNT(seen); i++) {
        seen[i] = random();
        if (i == 1)
            close_side(open_side());
    }
    for (size_t i = 0; i < SL_COUNT(seen); i++)
        ck_assert_int_eq(seen[i], undisturbed[i]);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, with_another_door_key_nobody_gets_in);
    tcase_add_test(t, garbage_on_the_port_disturbs_nobody);
    tcase_add_test(t, a_silent_connection_is_cut_after_two_seconds);
    tcase_add_test(t, a_crowd_of_silent_connections_keeps_no_member_out);
    tcase_add_test(t, who_is_not_admitted_in_two_seconds_is_cut_and_the_core_hears_of_it);
    tcase_add_test(t, an_admitted_link_stays_for_as_long_as_it_likes);
    tcase_add_test(t, a_second_message_in_the_lobby_ends_the_link);
    tcase_add_test(t, a_first_message_that_is_too_large_is_not_heard);
    tcase_add_test(t, a_link_that_is_cut_when_announced_is_not_heard);
    tcase_add_test(t, more_newcomers_in_one_turn_than_the_lobby_has_places_all_get_in);
    tcase_add_test(t, a_descriptor_used_again_does_not_inherit_what_was_said_before);
    tcase_add_test(t, a_message_of_several_frames_ends_the_link);
    tcase_add_test(t, a_peer_that_brings_a_routing_id_is_cut);
    tcase_add_test(t, a_dial_that_is_turned_away_at_the_gate_knocks_again_until_it_is_let_in);
    tcase_add_test(t, who_was_barred_is_refused_in_the_handshake_for_a_while_and_nobody_else_is);
    tcase_add_test(t, an_address_in_use_is_named);
    tcase_add_test(t, without_free_descriptors_nothing_is_opened);
    tcase_add_test(t, a_peer_is_cut_at_the_descriptor_limit_too);
    tcase_add_test(t, the_hosts_random_numbers_go_on_as_if_nothing_had_been_opened);
}

int main(void)
{
    return run_case("guests", add);
}
