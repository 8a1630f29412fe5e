/* fuzz_peers.c: the file of known peers. Addresses one could dial, and never more than there is
 * room for. */
#include "node/state.h"

#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {.fixed = 64};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_addr peers[SL_PEERS_MAX];
    (void)fuzz_file("peers", sl_span_of(data, size));
    int n = sl_state_read_peers(fuzz_dir(), peers, size % 2 ? SL_PEERS_MAX : 4);
    FUZZ_CHECK(n <= (size % 2 ? SL_PEERS_MAX : 4));
    for (int i = 0; i < n; i++)
        FUZZ_CHECK(peers[i].port != 0 && !sl_addr_is_wildcard(&peers[i]));
    return 0;
}
