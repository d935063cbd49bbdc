/*
 * fuzz_dns_answer.c - any octets as the answer to one of three questions.
 * The walker may not leave the message, hang, or leak; a usable answer has
 * records, and what was cut short is never proof of absence.
 */
#include <stdint.h>
#include <stdlib.h>

#include "mta/dns/answer.h"
#include "mta/dns/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint16_t qtypes[] = { QTYPE_A, QTYPE_MX, QTYPE_AAAA };
	uint8_t q[PACKET_QUERY_MAX];
	struct dns_answer a;

	for (size_t i = 0; i < COUNT_OF(qtypes); i++) {
		const size_t qn = packet_query(q, 0, "far.test", qtypes[i]);

		(void)packet_is_answer(q, qn, p, n);
		answer_read(&a, p, n, "far.test", qtypes[i]);
		if (dns_kind(a.outcome) == DNS_USABLE && a.total == 0 &&
		    a.cname[0] == '\0')
			abort();
		if (dns_kind(a.outcome) == DNS_ABSENT && a.total != 0)
			abort();
		if (a.ttl_s > ANSWER_TTL_MAX_S)
			abort();
		answer_free(&a);
	}
	return 0;
}
