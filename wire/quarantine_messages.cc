#include "wire/quarantine_messages.h"

#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const QuarantineRequest*) {
  v("idem", &QuarantineRequest::idem);
  v("tenant", &QuarantineRequest::tenant);
  v("model", &QuarantineRequest::model);
  v("version", &QuarantineRequest::version);
  v("lift", &QuarantineRequest::lift);
  v("reason", &QuarantineRequest::reason);
}

ESPALIER_WIRE_MESSAGE(QuarantineRequest);

}  // namespace espalier::wire
