/* embed.c: a service that offers itself and finds another.
 *     cc embed.c $(pkg-config --cflags --libs starling) */
#include <starling.h>
#include <stdio.h>

int main(void)
{
    starling_node *node;
    if (starling_open(NULL, &node) < 0) /* settings from the environment; never blocks */
        return 1;

    starling_service payments = {.name = "payments", .port = 8080};
    if (starling_register(node, &payments, NULL) < 0)
        return 1;

    starling_view *users;
    starling_instance who;
    if (starling_view_open(node, "users", NULL, &users) == 0 && starling_pick(users, &who) == 0)
        printf("%s:%u\n", who.host, who.port);

    starling_close(node); /* leaves the flock gracefully */
    return 0;
}
