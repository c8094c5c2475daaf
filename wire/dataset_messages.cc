#include "wire/dataset_messages.h"

#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const ValueCount*) {
  v("value", &ValueCount::value);
  v("count", &ValueCount::count);
}

template <class V>
void describe(V&& v, const ColumnProfile*) {
  v("name", &ColumnProfile::name);
  v("type", &ColumnProfile::type);
  v("count", &ColumnProfile::count);
  v("missing", &ColumnProfile::missing);
  v("min", &ColumnProfile::min);
  v("max", &ColumnProfile::max);
  v("mean", &ColumnProfile::mean);
  v("first", &ColumnProfile::first);
  v("last", &ColumnProfile::last);
  v("distinct", &ColumnProfile::distinct);
  v("top", &ColumnProfile::top);
}

template <class V>
void describe(V&& v, const DatasetRecord*) {
  v("dataset", &DatasetRecord::dataset);
  v("tenant", &DatasetRecord::tenant);
  v("source", &DatasetRecord::source);
  v("where", &DatasetRecord::where);
  v("file", &DatasetRecord::file);
  v("rows", &DatasetRecord::rows);
  v("first", &DatasetRecord::first);
  v("last", &DatasetRecord::last);
  v("columns", &DatasetRecord::columns);
  v("properties", &DatasetRecord::properties);
  v("principal", &DatasetRecord::principal);
  v("created_us", &DatasetRecord::created_us);
  v("epoch", &DatasetRecord::epoch);
}

template <class V>
void describe(V&& v, const DatasetPutRequest*) {
  v("idem", &DatasetPutRequest::idem);
  v("dataset", &DatasetPutRequest::dataset);
}

template <class V>
void describe(V&& v, const DatasetsRequest*) {
  v("tenant", &DatasetsRequest::tenant);
  v("datasets", &DatasetsRequest::datasets);
}

template <class V>
void describe(V&& v, const DatasetsReply*) {
  v("generation", &DatasetsReply::generation);
  v("epoch", &DatasetsReply::epoch);
  v("datasets", &DatasetsReply::datasets);
}

ESPALIER_WIRE_MESSAGE(DatasetPutRequest);
ESPALIER_WIRE_MESSAGE(DatasetsRequest);
ESPALIER_WIRE_REPLY(DatasetsReply);
ESPALIER_WIRE_RECORD(DatasetRecord);

}  // namespace espalier::wire
