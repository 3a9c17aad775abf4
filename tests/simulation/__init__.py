"""Test process: the shipped pool in one thread under a virtual clock, with faults; a seed is one history.

`make simulate SEEDS=0:5000 JOBS=2` runs worlds: two of each seed, one with a standard and one with a FIFO queue.
`world.py` tells what a world consists of, `oracle.py` and `lapses.py` what must hold in each, `bugs.py` which bugs they
have to find. Real are all rules, the poller's and the handler's loops with their actors, the streams (socket pairs),
lease tables and slots (mapped files), the supervisor's turns, and the strict SQS server. Simulated are time, chance,
scheduling, signals, process ids, and the way between poller and server.

What goes wrong; each world draws which of these it has, when, and what its messages are like:

| in | faults |
|---|---|
| kills.py | SIGKILL of handler, poller, supervisor at any moment, or aimed at a deed; of several; a lost host |
| stops.py | SIGSTOP of handler, poller, supervisor for less and for more than a lease; a suspended host |
| operators.py | HUP with the same, another and a wrong config; TTIN, TTOU, TSTP, CONT, USR1; TERM once and twice; |
| | signals in heaps; a pool that starts while its predecessor drains; EAGAIN; an application that is broken |
| server_faults.py | throttling, 5xx, resets, black holes, late, trickling and non-JSON answers, one action's or all; |
| | errors of credentials, clock skew, KMS, IAM (of visibility changes too), capacity, a queue that is gone; |
| | entries that fail (SenderFault or not, acted on or not) or are missing in the answer; |
| | receives: lost answers, duplicates, wrong MD5, missing or null members, silently empty; lapsing leases |
| clogs.py | swizzle clogs: requests, answers and streams stick one by one, and come loose in another order |
| application.py | functions that retry, reject, forward, raise, exit(0), crash, hang, hear no SoftTimeout, are slow |
| plan.py | a second machine, two pollers, no dead-letter queue, recycling, slow boots; bodies beyond a frame |

What is not in it, and where it is tested instead:

| not in it | tested in |
|---|---|
| sockets to SQS, boto3's own retries and deadlines, queues by name | tests/aws, tests/conformance, tests/system |
| threads and their races; hostile content | tests/handler, tests/aws; tests/hostile |
| SIGCHLD, PDEATHSIG, process groups, memory limits, full disks, blocked stdout | tests/system, tests/chaos |
| garbage on a stream | tests/test_channel.py |
| the control socket, the config file, secrets in logs | tests/supervisor, tests/config, tests/security |
| several queues in one pool; redrive by maxReceiveCount | tests/supervisor; tests/conformance |
"""
