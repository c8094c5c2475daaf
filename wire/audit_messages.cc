#include "wire/audit_messages.h"

#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const AuditRecord*) {
  v("epoch", &AuditRecord::epoch);
  v("time_us", &AuditRecord::time_us);
  v("who", &AuditRecord::who);
  v("roles", &AuditRecord::roles);
  v("keys", &AuditRecord::keys);
  v("operation", &AuditRecord::operation);
  v("tenant", &AuditRecord::tenant);
  v("model", &AuditRecord::model);
  v("subject", &AuditRecord::subject);
  v("before", &AuditRecord::before);
  v("after", &AuditRecord::after);
  v("erased", &AuditRecord::erased);
}

template <class V>
void describe(V&& v, const AuditRequest*) {
  v("tenant", &AuditRequest::tenant);
  v("who", &AuditRequest::who);
  v("operation", &AuditRequest::operation);
  v("since_us", &AuditRequest::since_us);
  v("until_us", &AuditRequest::until_us);
  v.bytes("cursor", &AuditRequest::cursor);
  v("limit", &AuditRequest::limit);
}

template <class V>
void describe(V&& v, const AuditReply*) {
  v("generation", &AuditReply::generation);
  v("records", &AuditReply::records);
  v.bytes("cursor", &AuditReply::cursor);
}

template <class V>
void describe(V&& v, const Quota*) {
  v("models", &Quota::models);
  v("nodes", &Quota::nodes);
  v("bytes", &Quota::bytes);
}

template <class V>
void describe(V&& v, const QuotaRecord*) {
  v("quota", &QuotaRecord::quota);
  v("principal", &QuotaRecord::principal);
  v("time_us", &QuotaRecord::time_us);
  v("epoch", &QuotaRecord::epoch);
}

template <class V>
void describe(V&& v, const SetQuotaRequest*) {
  v("idem", &SetQuotaRequest::idem);
  v("tenant", &SetQuotaRequest::tenant);
  v("quota", &SetQuotaRequest::quota);
}

template <class V>
void describe(V&& v, const QuotaRequest*) {
  v("tenant", &QuotaRequest::tenant);
}

template <class V>
void describe(V&& v, const QuotaReply*) {
  v("generation", &QuotaReply::generation);
  v("set", &QuotaReply::set);
  v("used", &QuotaReply::used);
}

ESPALIER_WIRE_RECORD(AuditRecord);
ESPALIER_WIRE_MESSAGE(AuditRequest);
ESPALIER_WIRE_REPLY(AuditReply);
ESPALIER_WIRE_RECORD(QuotaRecord);
ESPALIER_WIRE_MESSAGE(SetQuotaRequest);
ESPALIER_WIRE_MESSAGE(QuotaRequest);
ESPALIER_WIRE_REPLY(QuotaReply);

}  // namespace espalier::wire
