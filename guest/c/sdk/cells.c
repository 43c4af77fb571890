// Columns as cells and back: the one place of the kit that knows how a batch lies in memory.

#include "abi.h"

static th_text packed(const abi_packed *cells, uint32_t at) {
    const uint32_t *ends = cells->offsets.at;
    return th_cut(th_of_abi(cells->bytes), ends[at], ends[at + 1]);
}

static th_decimal of_halves(uint8_t scale, uint64_t low, int64_t high) {
    return (th_decimal){(__int128)((unsigned __int128)(uint64_t)high << 64 | low), scale};
}

th_value th_cell_of(const abi_column *column, uint32_t at) {
    if (column->validity.count && !((const uint8_t *)column->validity.at)[at]) return (th_value){.kind = TH_NULL};
    th_value cell = {.kind = (th_kind)(column->data.tag + 1)};
    const void *list = column->data.list.at;
    switch (cell.kind) {
    case TH_BOOLEAN: cell.boolean = ((const uint8_t *)list)[at]; break;
    case TH_INTEGER:
    case TH_TIME:
    case TH_TIMESTAMP: cell.integer = ((const int64_t *)list)[at]; break;
    case TH_FLOAT: cell.number = ((const double *)list)[at]; break;
    case TH_DATE: cell.integer = ((const int32_t *)list)[at]; break;
    case TH_GUID: cell.text = (th_text){(const char *)list + 16 * at, 16}; break;
    case TH_TEXT:
    case TH_BINARY: cell.text = packed(&column->data.packed, at); break;
    case TH_DECIMAL: {
        const abi_decimals *decimals = &column->data.decimals;
        const uint64_t *low = decimals->low.at;
        const int64_t *high = decimals->high.at;
        cell.decimal = of_halves(decimals->scale, low[at], high[at]);
        break;
    }
    case TH_OFFSET_TIMESTAMP:
        cell.integer = ((const int64_t *)column->data.moments.utc.at)[at];
        cell.offset_minutes = ((const int16_t *)column->data.moments.minutes.at)[at];
        break;
    case TH_OTHER:
        cell.sql_type = th_of_abi(column->data.others.sql_type);
        cell.text = packed(&column->data.others.texts, at);
        break;
    case TH_NULL: break;
    }
    return cell;
}

static abi_list room(uint32_t count, size_t each) { return (abi_list){th_alloc(count * each + 1), count}; }

static abi_packed pack(const th_value *values, uint32_t count) {
    abi_packed cells = {.offsets = room(count + 1, 4)};
    uint32_t *ends = cells.offsets.at;
    for (uint32_t at = 0; at < count; at++) ends[at + 1] = ends[at] + (uint32_t)values[at].text.size;
    cells.bytes = room(ends[count], 1);
    for (uint32_t at = 0; at < count; at++)
        if (values[at].text.size) memcpy((char *)cells.bytes.at + ends[at], values[at].text.at, values[at].text.size);
    return cells;
}

// A column has one scale: the greatest, so that no digit is lost.
static abi_decimals decimals(const th_value *values, uint32_t count) {
    abi_decimals column = {.low = room(count, 8), .high = room(count, 8)};
    for (uint32_t at = 0; at < count; at++)
        if (values[at].decimal.scale > column.scale) column.scale = values[at].decimal.scale;
    for (uint32_t at = 0; at < count; at++) {
        __int128 number = th_rounded(values[at].decimal, column.scale).unscaled;
        ((uint64_t *)column.low.at)[at] = (uint64_t)number;
        ((int64_t *)column.high.at)[at] = (int64_t)(number >> 64);
    }
    return column;
}

// Its case is that of the first value which is not NULL; the others must agree.
const char *th_column_of(const th_value *values, uint32_t count, abi_column *column) {
    th_kind kind = TH_NULL;
    bool nulls = false;
    for (uint32_t at = 0; at < count; at++) {
        if (values[at].kind == TH_NULL) nulls = true;
        else if (kind == TH_NULL) kind = values[at].kind;
        else if (kind != values[at].kind) return "values of two kinds";
    }
    if (kind == TH_NULL) kind = TH_INTEGER;
    memset(column, 0, sizeof *column);
    if (nulls) column->validity = room(count, 1);
    for (uint32_t at = 0; nulls && at < count; at++)
        ((uint8_t *)column->validity.at)[at] = values[at].kind != TH_NULL;
    column->data.tag = (uint8_t)(kind - 1);
    abi_list *list = &column->data.list;
    switch (kind) {
    case TH_BOOLEAN:
        *list = room(count, 1);
        for (uint32_t at = 0; at < count; at++) ((uint8_t *)list->at)[at] = values[at].boolean;
        break;
    case TH_INTEGER:
    case TH_TIME:
    case TH_TIMESTAMP:
        *list = room(count, 8);
        for (uint32_t at = 0; at < count; at++) ((int64_t *)list->at)[at] = values[at].integer;
        break;
    case TH_FLOAT:
        *list = room(count, 8);
        for (uint32_t at = 0; at < count; at++) ((double *)list->at)[at] = values[at].number;
        break;
    case TH_DATE:
        *list = room(count, 4);
        for (uint32_t at = 0; at < count; at++) ((int32_t *)list->at)[at] = (int32_t)values[at].integer;
        break;
    case TH_GUID:
        *list = room(16 * count, 1);
        for (uint32_t at = 0; at < count; at++)
            if (values[at].text.size == 16) memcpy((char *)list->at + 16 * at, values[at].text.at, 16);
            else if (values[at].kind == TH_GUID) return "a guid that has not 16 bytes";
        break;
    case TH_TEXT:
    case TH_BINARY: column->data.packed = pack(values, count); break;
    case TH_DECIMAL: column->data.decimals = decimals(values, count); break;
    case TH_OFFSET_TIMESTAMP:
        column->data.moments = (abi_moments){room(count, 8), room(count, 2)};
        for (uint32_t at = 0; at < count; at++) {
            ((int64_t *)column->data.moments.utc.at)[at] = values[at].integer;
            ((int16_t *)column->data.moments.minutes.at)[at] = values[at].offset_minutes;
        }
        break;
    case TH_OTHER: column->data.others = (abi_others){th_abi_text(th_string("")), pack(values, count)}; break;
    case TH_NULL: break;
    }
    return NULL;
}

th_value th_value_of(const abi_value *given) {
    th_value value = {.kind = (th_kind)given->tag};
    switch (value.kind) {
    case TH_BOOLEAN: value.boolean = given->boolean; break;
    case TH_INTEGER:
    case TH_TIME:
    case TH_TIMESTAMP: value.integer = given->integer; break;
    case TH_FLOAT: value.number = given->number; break;
    case TH_DATE: value.integer = given->date; break;
    case TH_DECIMAL: value.decimal = of_halves(given->decimal.scale, given->decimal.low, given->decimal.high); break;
    case TH_TEXT:
    case TH_BINARY:
    case TH_GUID: value.text = th_of_abi(given->text); break;
    case TH_OFFSET_TIMESTAMP:
        value.integer = given->moment.utc;
        value.offset_minutes = given->moment.minutes;
        break;
    case TH_OTHER:
        value.sql_type = th_of_abi(given->other.sql_type);
        value.text = th_of_abi(given->other.text);
        break;
    case TH_NULL: break;
    }
    return value;
}

abi_value th_abi_value(th_value value) {
    abi_value given;
    memset(&given, 0, sizeof given);
    given.tag = (uint8_t)value.kind;
    switch (value.kind) {
    case TH_BOOLEAN: given.boolean = value.boolean; break;
    case TH_INTEGER:
    case TH_TIME:
    case TH_TIMESTAMP: given.integer = value.integer; break;
    case TH_FLOAT: given.number = value.number; break;
    case TH_DATE: given.date = (int32_t)value.integer; break;
    case TH_DECIMAL:
        given.decimal.scale = value.decimal.scale;
        given.decimal.low = (uint64_t)value.decimal.unscaled;
        given.decimal.high = (int64_t)(value.decimal.unscaled >> 64);
        break;
    case TH_TEXT:
    case TH_BINARY:
    case TH_GUID: given.text = th_abi_text(value.text); break;
    case TH_OFFSET_TIMESTAMP:
        given.moment.utc = value.integer;
        given.moment.minutes = value.offset_minutes;
        break;
    case TH_OTHER:
        given.other.sql_type = th_abi_text(value.sql_type);
        given.other.text = th_abi_text(value.text);
        break;
    case TH_NULL: break;
    }
    return given;
}

int th_order(th_value one, th_value other) {
    if (one.kind != other.kind) return 2;
    switch (one.kind) {
    case TH_DECIMAL: return th_compare(one.decimal, other.decimal);
    case TH_FLOAT: return (one.number > other.number) - (one.number < other.number);
    case TH_TIME:
        return ((uint64_t)one.integer > (uint64_t)other.integer) - ((uint64_t)one.integer < (uint64_t)other.integer);
    case TH_INTEGER:
    case TH_DATE:
    case TH_TIMESTAMP:
    case TH_OFFSET_TIMESTAMP: return (one.integer > other.integer) - (one.integer < other.integer);
    default: return 2;
    }
}

bool th_same(th_value one, th_value other) {
    if (one.kind != other.kind) return false;
    switch (one.kind) {
    case TH_NULL: return true;
    case TH_BOOLEAN: return one.boolean == other.boolean;
    case TH_TEXT:
    case TH_BINARY:
    case TH_GUID:
    case TH_OTHER: return th_equal(one.text, other.text);
    case TH_OFFSET_TIMESTAMP: return one.integer == other.integer && one.offset_minutes == other.offset_minutes;
    default: return th_order(one, other) == 0;
    }
}
