/* test_transport.c: what members do to each other over transports on loopback. */
#include "transport_help.h"

/* ---- what members do -------------------------------------------------------------------- */

START_TEST(an_accepted_link_is_announced_with_the_diallers_key_before_its_first_message)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "hello");
    ck_assert_uint_eq(b->n, 2);
    ck_assert_int_eq(b->heard[0].type, SL_HEARD_ACCEPT);
    ck_assert_uint_eq(b->heard[0].link, p.at_acceptor);
    ck_assert_uint_eq(p.at_acceptor % 2, 0);
    ck_assert_mem_eq(b->heard[0].c_d, a->identity.dial_public, SL_KEY_LEN);
}
END_TEST

START_TEST(bytes_go_both_ways_in_order)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    for (int i = 0; i < 50; i++) {
        char text[32];
        snprintf(text, sizeof text, "there %d", i);
        ck_assert(say(a, p.at_dialler, text));
        snprintf(text, sizeof text, "back %d", i);
        ck_assert(say(b, p.at_acceptor, text));
    }
    UNTIL(heard(a, SL_HEARD_BYTES, p.at_dialler, "back 49"));
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "there 49"));
    for (int i = 1; i < 50; i++) {
        char one[32], next[32];
        snprintf(one, sizeof one, "there %d", i - 1);
        snprintf(next, sizeof next, "there %d", i);
        ck_assert_uint_lt(heard(b, SL_HEARD_BYTES, 0, one), heard(b, SL_HEARD_BYTES, 0, next));
    }
}
END_TEST

START_TEST(the_largest_frame_arrives_whole_and_a_larger_one_is_not_sent)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    uint8_t *big = calloc(1, SL_FRAME_MAX + 1);
    ck_assert(!sl_transport_send(a->t, p.at_dialler, sl_span_of(big, SL_FRAME_MAX + 1)));
    ck_assert(sl_transport_send(a->t, p.at_dialler, sl_span_of(big, SL_FRAME_MAX)));
    free(big);
    UNTIL(b->n == 3);
    ck_assert_uint_eq(b->heard[2].len, SL_FRAME_MAX);
}
END_TEST

START_TEST(two_links_in_opposite_directions_do_not_mix)
{
    struct side *a = open_side(), *b = open_side();
    struct pair ab = meet(a, b, "from a");
    struct pair ba = meet(b, a, "from b");
    ck_assert(say(a, ba.at_acceptor, "answer of a"));
    ck_assert(say(b, ab.at_acceptor, "answer of b"));
    UNTIL(heard(a, SL_HEARD_BYTES, ab.at_dialler, "answer of b"));
    UNTIL(heard(b, SL_HEARD_BYTES, ba.at_dialler, "answer of a"));
}
END_TEST

START_TEST(links_go_over_ipv6_as_well)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool here = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
    if (fd >= 0)
        close(fd);
    if (!here)
        return; /* this host has none */
    struct side *a = open_side_at("[::1]:0"), *b = open_side_at("[::1]:0");
    struct pair p = meet(a, b, "hello");
    ck_assert(say(b, p.at_acceptor, "back"));
    UNTIL(heard(a, SL_HEARD_BYTES, p.at_dialler, "back"));
    struct sl_addr nobody = closed_port("[::1]:0");
    sl_link refused = dial(a, &nobody);
    UNTIL(heard(a, SL_HEARD_REFUSED, refused, NULL));
    sl_transport_cut(b->t, p.at_acceptor);
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
}
END_TEST

/* ---- two doors -------------------------------------------------------------------------- */

/* Close a side and open it again, to listen on a door of its own and to know `other` as well. */
static struct side *open_with_doors(const uint8_t secret[32], const uint8_t own[32],
                                    const uint8_t *other)
{
    memcpy(door_secret, secret, 32);
    memcpy(door_public, own, 32);
    memset(second_door_public, 0, 32);
    two_doors = other != NULL;
    if (two_doors)
        memcpy(second_door_public, other, 32);
    return open_side();
}

/* "Add everywhere, swap everywhere, remove everywhere": each step beside the one before, dialled from
 * both ends. */
START_TEST(while_doors_are_rotated_every_step_reaches_its_neighbours)
{
    uint8_t old[32], old_secret[32], fresh[32], fresh_secret[32];
    crypto_box_keypair(old, old_secret);
    crypto_box_keypair(fresh, fresh_secret);
    struct side *before = open_with_doors(old_secret, old, NULL);
    struct side *added = open_with_doors(old_secret, old, fresh);
    (void)meet(before, added, "old door alone to old door first");
    (void)meet(added, before, "and back");
    close_side(before);
    struct side *swapped = open_with_doors(fresh_secret, fresh, old);
    (void)meet(added, swapped, "old door first to new door first");
    (void)meet(swapped, added, "the other way round");
    close_side(added);
    struct side *after = open_with_doors(fresh_secret, fresh, NULL);
    (void)meet(swapped, after, "new door first to new door alone");
    (void)meet(after, swapped, "and back again");
}
END_TEST

/* Of an open transport. */
static void change_doors(struct side *s, const uint8_t secret[32], const uint8_t own[32],
                         const uint8_t *other)
{
    memcpy(s->identity.door_secret, secret, 32);
    memcpy(s->identity.bundle.door_public, own, 32);
    memset(s->identity.bundle.second_door_public, 0, 32);
    s->identity.bundle.two_doors = other != NULL;
    if (other != NULL)
        memcpy(s->identity.bundle.second_door_public, other, 32);
    int r = sl_transport_doors(s->t, &s->identity);
    ck_assert_msg(r == 0, "%d, %s", r, sl_fail_text());
}

static bool is_heard_over(struct side *from, struct side *to, sl_link at_from, const char *text)
{
    if (!say(from, at_from, text))
        return false;
    UNTIL(heard(to, SL_HEARD_BYTES, 0, text));
    return true;
}

START_TEST(a_door_is_changed_with_no_link_lost_and_nobody_refused)
{
    uint8_t old[32], old_secret[32], fresh[32], fresh_secret[32];
    crypto_box_keypair(old, old_secret);
    crypto_box_keypair(fresh, fresh_secret);
    struct side *a = open_with_doors(old_secret, old, NULL);
    struct side *b = open_with_doors(old_secret, old, NULL);
    struct pair before = meet(a, b, "over the old door");
    for (int i = 0; i < 2; i++) /* added, on both sides */
        change_doors(i == 0 ? a : b, old_secret, old, fresh);
    change_doors(b, fresh_secret, fresh, old);
    ck_assert(is_heard_over(a, b, before.at_dialler, "the link is there"));
    ck_assert(is_heard_over(b, a, before.at_acceptor, "both ways"));
    (void)meet(b, a, "new door first to old door first");
    change_doors(a, fresh_secret, fresh, old);
    for (int i = 0; i < 2; i++) /* the old one goes */
        change_doors(i == 0 ? a : b, fresh_secret, fresh, NULL);
    ck_assert(is_heard_over(a, b, before.at_dialler, "still there"));
    struct side *newcomer = open_with_doors(fresh_secret, fresh, NULL);
    (void)meet(newcomer, b, "the new door alone");
    (void)meet(newcomer, a, "likewise");
    const uint64_t in = stats(b).handshakes, failed = stats(b).handshakes_failed;
    memcpy(door_public, old, 32);
    for (int i = 0; i < 48; i++) /* at once: a listener that still hears would get some of them */
        (void)raw_open(b, false, NULL, 0);
    UNTIL(stats(b).handshakes_failed == failed + 48 || stats(b).handshakes > in);
    ck_assert_uint_eq(stats(b).handshakes, in);
    ck_assert(!heard(a, SL_HEARD_DOWN, before.at_dialler, NULL));
    ck_assert(!heard(b, SL_HEARD_DOWN, before.at_acceptor, NULL));
}
END_TEST

START_TEST(sixteen_doors_later_the_first_link_is_there_and_a_start_is_asked_for)
{
    uint8_t key[17][32], secret[17][32];
    const unsigned at_first = descriptors();
    for (int i = 0; i < 17; i++)
        crypto_box_keypair(key[i], secret[i]);
    struct side *a = open_with_doors(secret[0], key[0], NULL);
    struct side *b = open_with_doors(secret[0], key[0], NULL);
    struct pair first = meet(a, b, "over the first");
    for (int i = 1; i < 17; i++) {
        char text[24];
        change_doors(b, secret[i], key[i], key[i - 1]);
        change_doors(a, secret[i], key[i], key[i - 1]);
        struct side *c = open_with_doors(secret[i], key[i], NULL);
        snprintf(text, sizeof text, "door %d", i);
        (void)meet(c, b, text);
        close_side(c);
    }
    ck_assert(is_heard_over(a, b, first.at_dialler, "still there"));
    memcpy(b->identity.bundle.door_public, key[0], 32);
    ck_assert_int_eq(sl_transport_doors(b->t, &b->identity), STARLING_ELIMIT);
    struct side *c = open_with_doors(secret[16], key[16], NULL);
    (void)meet(c, b, "and it listens on");
    while (n_sides > 0)
        close_side(sides[0]);
    ck_assert_uint_eq(descriptors(), at_first);
}
END_TEST

START_TEST(the_core_hears_nothing_of_a_knock_at_the_wrong_door)
{
    uint8_t old[32], old_secret[32], fresh[32], fresh_secret[32];
    crypto_box_keypair(old, old_secret);
    crypto_box_keypair(fresh, fresh_secret);
    struct side *a = open_with_doors(old_secret, old, fresh);
    struct side *b = open_with_doors(fresh_secret, fresh, old);
    sl_link link = dial(a, &b->addr);
    ck_assert(say(a, link, "m1"));
    UNTIL(heard(b, SL_HEARD_BYTES, 0, "m1"));
    ck_assert(say(b, b->heard[heard(b, SL_HEARD_BYTES, 0, "m1") - 1].link, "m2"));
    UNTIL(heard(a, SL_HEARD_BYTES, link, "m2"));
    ck_assert(!heard(a, SL_HEARD_DOWN, 0, NULL) && !heard(a, SL_HEARD_REFUSED, 0, NULL));
    ck_assert_uint_eq(stats(b).handshakes_failed, 1);
}
END_TEST

START_TEST(who_has_neither_door_is_told_once_that_the_link_is_down)
{
    uint8_t key[4][32], secret[4][32];
    for (int i = 0; i < 4; i++)
        crypto_box_keypair(key[i], secret[i]);
    struct side *a = open_with_doors(secret[0], key[0], key[1]);
    struct side *b = open_with_doors(secret[2], key[2], key[3]);
    sl_link link = dial(a, &b->addr);
    ck_assert(say(a, link, "m1"));
    UNTIL(heard(a, SL_HEARD_DOWN, link, NULL));
    ck_assert_uint_eq(stats(b).handshakes_failed, 2);
    ck_assert(!heard(b, SL_HEARD_ACCEPT, 0, NULL));
}
END_TEST

START_TEST(a_dial_that_is_cut_between_two_doors_leaves_nothing_behind)
{
    uint8_t old[32], old_secret[32], fresh[32], fresh_secret[32];
    crypto_box_keypair(old, old_secret);
    crypto_box_keypair(fresh, fresh_secret);
    struct side *a = open_with_doors(old_secret, old, fresh);
    struct side *b = open_with_doors(fresh_secret, fresh, old);
    sl_link link = dial(a, &b->addr);
    ck_assert(say(a, link, "never said"));
    UNTIL(stats(b).handshakes_failed == 1);
    sl_transport_cut(a->t, link);
    (void)meet(a, b, "a later one");
    ck_assert(!heard(b, SL_HEARD_BYTES, 0, "never said"));
}
END_TEST

/* ---- ends ------------------------------------------------------------------------------- */

START_TEST(when_the_acceptor_closes_the_dialler_hears_that_the_link_is_down)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    close_side(b);
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    ck_assert(!say(a, p.at_dialler, "too late"));
}
END_TEST

START_TEST(when_the_dialler_closes_the_acceptor_hears_that_the_link_is_down)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    close_side(a);
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
    ck_assert(!say(b, p.at_acceptor, "too late"));
}
END_TEST

START_TEST(a_cut_by_the_dialler_ends_the_link_at_the_acceptor_alone)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    sl_transport_cut(a->t, p.at_dialler);
    ck_assert(!say(a, p.at_dialler, "too late"));
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
    ck_assert(!heard(a, SL_HEARD_DOWN, 0, NULL));
}
END_TEST

START_TEST(one_accepted_peer_is_cut_and_the_others_stay)
{
    struct side *a = open_side(), *b = open_side(), *c = open_side();
    struct pair ac = meet(a, c, "from a"), bc = meet(b, c, "from b");
    sl_transport_cut(c->t, ac.at_acceptor);
    ck_assert(!say(c, ac.at_acceptor, "too late"));
    UNTIL(heard(a, SL_HEARD_DOWN, ac.at_dialler, NULL));
    ck_assert(say(c, bc.at_acceptor, "still here"));
    UNTIL(heard(b, SL_HEARD_BYTES, bc.at_dialler, "still here"));
    ck_assert(!heard(c, SL_HEARD_DOWN, 0, NULL));
    ck_assert_uint_eq(stats(c).links_in, 1);
}
END_TEST

START_TEST(what_is_said_right_before_a_cut_is_heard_at_the_other_end)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    stop_the_clock();
    ck_assert(say(b, p.at_acceptor, "the reason"));
    sl_transport_cut(b->t, p.at_acceptor);
    UNTIL(heard(a, SL_HEARD_BYTES, p.at_dialler, "the reason"));
    skip(SL_MS(20));
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    start_the_clock();

    p = meet(a, b, "m1 again");
    stop_the_clock();
    ck_assert(say(a, p.at_dialler, "goodbye"));
    sl_transport_cut(a->t, p.at_dialler);
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "goodbye"));
    skip(SL_MS(20));
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
}
END_TEST

START_TEST(a_dial_where_nobody_listens_is_refused)
{
    struct side *a = open_side();
    struct sl_addr nobody = closed_port("127.0.0.1:0");
    for (int i = 0; i < 20; i++) {
        sl_link link = dial(a, &nobody);
        (void)say(a, link, "into the void"); /* by now libzmq may know, or not */
        UNTIL(heard(a, SL_HEARD_REFUSED, link, NULL) || heard(a, SL_HEARD_DOWN, link, NULL));
        ck_assert(heard(a, SL_HEARD_REFUSED, link, NULL));
        skip(SL_SEC(1));
    }
}
END_TEST

START_TEST(what_was_queued_for_the_dead_never_reaches_whoever_listens_there_next)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    char at[SL_ADDR_TEXT];
    sl_addr_format(at, &b->addr);
    close_side(b);
    for (int i = 0; i < 20; i++)
        (void)say(a, p.at_dialler, "for b alone");
    struct side *next = open_side_at(at);
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    (void)meet(a, next, "for the next");
    ck_assert(!heard(next, SL_HEARD_BYTES, 0, "for b alone"));
}
END_TEST

START_TEST(a_dial_that_gets_no_answer_is_down_after_its_time)
{
    struct side *a = open_side();
    int mute = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    ck_assert_int_eq(bind(mute, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(mute, 8), 0);
    ck_assert_int_eq(getsockname(mute, (struct sockaddr *)&at, &len), 0);
    struct sl_addr addr = {.family = 4, .ip = {127, 0, 0, 1}, .port = ntohs(at.sin_port)};
    sl_link link = dial(a, &addr);
    turn_all();
    ck_assert(!heard(a, SL_HEARD_DOWN, link, NULL));
    skip(SL_SEC(3));
    turn_all();
    ck_assert(heard(a, SL_HEARD_DOWN, link, NULL));
    close(mute);
}
END_TEST

START_TEST(a_second_dial_to_an_address_fails_while_the_first_stands)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    sl_link second = dial(a, &b->addr);
    UNTIL(heard(a, SL_HEARD_DOWN, second, NULL));
    ck_assert(say(a, p.at_dialler, "unharmed"));
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "unharmed"));
}
END_TEST

START_TEST(two_hundred_dials_and_ends_leave_no_descriptor_behind)
{
    struct side *a = open_side(), *b = open_side();
    struct sl_addr nobody = closed_port("127.0.0.1:0");
    (void)meet(b, a, "warm");
    unsigned before = descriptors();
    for (int i = 0; i < 200; i++) {
        char text[32];
        snprintf(text, sizeof text, "round %d", i);
        struct pair p = meet(a, b, text);
        sl_link refused = dial(a, &nobody);
        if (i % 2 == 0) {
            sl_transport_cut(b->t, p.at_acceptor);
            UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
        } else {
            sl_transport_cut(a->t, p.at_dialler);
            UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
        }
        UNTIL(heard(a, SL_HEARD_REFUSED, refused, NULL) || heard(a, SL_HEARD_DOWN, refused, NULL));
        skip(SL_SEC(1));
        a->n = b->n = 0;
    }
    UNTIL(descriptors() <= before);
    ck_assert_uint_eq(stats(a).links_out, 0);
    ck_assert_uint_eq(stats(b).links_in + stats(b).half_open, 0);
}
END_TEST

START_TEST(a_transport_can_be_opened_and_closed_many_times)
{
    close_side(open_side());
    unsigned before = descriptors();
    for (int i = 0; i < 30; i++)
        close_side(open_side());
    ck_assert_uint_eq(descriptors(), before);
}
END_TEST

START_TEST(a_link_nobody_knows_takes_no_bytes)
{
    struct side *a = open_side();
    ck_assert(!say(a, 1, "x"));
    ck_assert(!say(a, 2, "x"));
    ck_assert(!say(a, 4711, "x"));
    ck_assert(!say(a, UINT64_MAX, "x"));
    ck_assert(!say(a, UINT64_MAX - 1, "x"));
    sl_transport_cut(a->t, 1);
    sl_transport_cut(a->t, 2);
    sl_transport_admit(a->t, 2);
    ck_assert_uint_eq(stats(a).send_dropped, 5);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, while_doors_are_rotated_every_step_reaches_its_neighbours);
    tcase_add_test(t, a_door_is_changed_with_no_link_lost_and_nobody_refused);
    tcase_add_test(t, sixteen_doors_later_the_first_link_is_there_and_a_start_is_asked_for);
    tcase_add_test(t, the_core_hears_nothing_of_a_knock_at_the_wrong_door);
    tcase_add_test(t, who_has_neither_door_is_told_once_that_the_link_is_down);
    tcase_add_test(t, a_dial_that_is_cut_between_two_doors_leaves_nothing_behind);
    tcase_add_test(t, an_accepted_link_is_announced_with_the_diallers_key_before_its_first_message);
    tcase_add_test(t, bytes_go_both_ways_in_order);
    tcase_add_test(t, the_largest_frame_arrives_whole_and_a_larger_one_is_not_sent);
    tcase_add_test(t, two_links_in_opposite_directions_do_not_mix);
    tcase_add_test(t, links_go_over_ipv6_as_well);
    tcase_add_test(t, when_the_acceptor_closes_the_dialler_hears_that_the_link_is_down);
    tcase_add_test(t, when_the_dialler_closes_the_acceptor_hears_that_the_link_is_down);
    tcase_add_test(t, a_cut_by_the_dialler_ends_the_link_at_the_acceptor_alone);
    tcase_add_test(t, one_accepted_peer_is_cut_and_the_others_stay);
    tcase_add_test(t, what_is_said_right_before_a_cut_is_heard_at_the_other_end);
    tcase_add_test(t, a_dial_where_nobody_listens_is_refused);
    tcase_add_test(t, what_was_queued_for_the_dead_never_reaches_whoever_listens_there_next);
    tcase_add_test(t, a_dial_that_gets_no_answer_is_down_after_its_time);
    tcase_add_test(t, a_second_dial_to_an_address_fails_while_the_first_stands);
    tcase_add_test(t, two_hundred_dials_and_ends_leave_no_descriptor_behind);
    tcase_add_test(t, a_transport_can_be_opened_and_closed_many_times);
    tcase_add_test(t, a_link_nobody_knows_takes_no_bytes);
}

int main(void)
{
    return run_case("transport", add);
}
