#include "wire/key_messages.h"

#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const KeyHalf*) {
  v("key", &KeyHalf::key);
  v("until_us", &KeyHalf::until_us);
}

template <class V>
void describe(V&& v, const KeyRecord*) {
  v("name", &KeyRecord::name);
  v("roles", &KeyRecord::roles);
  v("tenants", &KeyRecord::tenants);
  v("all_tenants", &KeyRecord::all_tenants);
  v("halves", &KeyRecord::halves);
  v("expires_us", &KeyRecord::expires_us);
  v("revoked_us", &KeyRecord::revoked_us);
  v("created_us", &KeyRecord::created_us);
  v("principal", &KeyRecord::principal);
  v("epoch", &KeyRecord::epoch);
}

template <class V>
void describe(V&& v, const KeyCreateRequest*) {
  v("idem", &KeyCreateRequest::idem);
  v("name", &KeyCreateRequest::name);
  v("roles", &KeyCreateRequest::roles);
  v("tenants", &KeyCreateRequest::tenants);
  v("all_tenants", &KeyCreateRequest::all_tenants);
  v("expires_us", &KeyCreateRequest::expires_us);
  v("key", &KeyCreateRequest::key);
}

template <class V>
void describe(V&& v, const KeyLimitRequest*) {
  v("idem", &KeyLimitRequest::idem);
  v("name", &KeyLimitRequest::name);
  v("roles", &KeyLimitRequest::roles);
  v("tenants", &KeyLimitRequest::tenants);
  v("expires_us", &KeyLimitRequest::expires_us);
}

template <class V>
void describe(V&& v, const KeyRotateRequest*) {
  v("idem", &KeyRotateRequest::idem);
  v("name", &KeyRotateRequest::name);
  v("key", &KeyRotateRequest::key);
  v("overlap_us", &KeyRotateRequest::overlap_us);
}

template <class V>
void describe(V&& v, const KeyRevokeRequest*) {
  v("idem", &KeyRevokeRequest::idem);
  v("name", &KeyRevokeRequest::name);
}

template <class V>
void describe(V&& v, const KeysRequest*) {
  v("generation", &KeysRequest::generation);
  v("after", &KeysRequest::after);
  v("wait_us", &KeysRequest::wait_us);
}

template <class V>
void describe(V&& v, const KeysReply*) {
  v("generation", &KeysReply::generation);
  v("epoch", &KeysReply::epoch);
  v("unchanged", &KeysReply::unchanged);
  v("keys", &KeysReply::keys);
}

ESPALIER_WIRE_RECORD(KeyRecord);
ESPALIER_WIRE_MESSAGE(KeyCreateRequest);
ESPALIER_WIRE_MESSAGE(KeyLimitRequest);
ESPALIER_WIRE_MESSAGE(KeyRotateRequest);
ESPALIER_WIRE_MESSAGE(KeyRevokeRequest);
ESPALIER_WIRE_MESSAGE(KeysRequest);
ESPALIER_WIRE_REPLY(KeysReply);

}  // namespace espalier::wire
