#include "protocol/saslprep.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace pgweir::protocol {

namespace {

struct Range {
    char32_t first;
    char32_t last;
};

// RFC 3454, C.1.2: spaces other than ASCII's.
constexpr Range spaces[] = {{0x00A0, 0x00A0}, {0x1680, 0x1680}, {0x2000, 0x200B},
                            {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};

// RFC 3454, B.1: mapped to nothing.
constexpr Range invisible[] = {{0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x1806, 0x1806},
                               {0x180B, 0x180D}, {0x200B, 0x200D}, {0x2060, 0x2060},
                               {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}};

// RFC 3454, C.1.2 to C.9, without the two non-characters that end each plane.
constexpr Range prohibited[] = {{0x0000, 0x001F},   {0x007F, 0x00A0},   {0x0340, 0x0341},
                                {0x06DD, 0x06DD},   {0x070F, 0x070F},   {0x1680, 0x1680},
                                {0x180E, 0x180E},   {0x2000, 0x200F},   {0x2028, 0x202F},
                                {0x205F, 0x2063},   {0x206A, 0x206F},   {0x2FF0, 0x2FFB},
                                {0x3000, 0x3000},   {0xD800, 0xF8FF},   {0xFDD0, 0xFDEF},
                                {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFD},   {0x1D173, 0x1D17A},
                                {0xE0001, 0xE0001}, {0xE0020, 0xE007F}, {0xF0000, 0x10FFFF}};

// RFC 3454, A.1: what Unicode 3.2 had not assigned, from U+1D800 on (emoji are all here).
constexpr Range unassigned[] = {{0x1D800, 0x1FFFF},
                                {0x2A6D7, 0x2F7FF},
                                {0x2FA1E, 0xE0000},
                                {0xE0002, 0xE001F},
                                {0xE0080, 0xEFFFF}};

// RFC 3454, D.1: written from right to left.
constexpr Range right_to_left[] = {
    {0x05BE, 0x05BE}, {0x05C0, 0x05C0}, {0x05C3, 0x05C3}, {0x05D0, 0x05EA}, {0x05F0, 0x05F4},
    {0x061B, 0x061B}, {0x061F, 0x061F}, {0x0621, 0x063A}, {0x0640, 0x064A}, {0x066D, 0x066F},
    {0x0671, 0x06D5}, {0x06DD, 0x06DD}, {0x06E5, 0x06E6}, {0x06FA, 0x06FE}, {0x0700, 0x070D},
    {0x0710, 0x0710}, {0x0712, 0x072C}, {0x0780, 0x07A5}, {0x07B1, 0x07B1}, {0x200F, 0x200F},
    {0xFB1D, 0xFB1D}, {0xFB1F, 0xFB28}, {0xFB2A, 0xFB36}, {0xFB38, 0xFB3C}, {0xFB3E, 0xFB3E},
    {0xFB40, 0xFB41}, {0xFB43, 0xFB44}, {0xFB46, 0xFBB1}, {0xFBD3, 0xFD3D}, {0xFD50, 0xFD8F},
    {0xFD92, 0xFDC7}, {0xFDF0, 0xFDFC}, {0xFE70, 0xFE74}, {0xFE76, 0xFEFC}};

// The bulk of RFC 3454, D.2: written from left to right. Its 360 ranges are merged into a few.
constexpr Range left_to_right[] = {
    {'A', 'Z'},       {'a', 'z'},       {0x00AA, 0x00AA}, {0x00B5, 0x00B5},
    {0x00BA, 0x00BA}, {0x00C0, 0x00D6}, {0x00D8, 0x00F6}, {0x00F8, 0x02AD},
    {0x0386, 0x0482}, {0x048A, 0x0559}, {0x0561, 0x0587}, {0x0905, 0x1FFC},
    {0x3041, 0x3096}, {0x30A1, 0x30FA}, {0x3400, 0xD7A3}, {0x20000, 0x2A6D6}};

bool is_in(std::span<const Range> ranges, char32_t code) {
    return std::ranges::any_of(
        ranges, [code](const Range& range) { return range.first <= code && code <= range.last; });
}

struct Spelling {
    char32_t code;
    std::string_view text;
};

// Unicode's compatibility decompositions of what keyboards can type.
constexpr Spelling spellings[] = {
    {0x00A8, " \u0308"},  {0x00AA, "a"},       {0x00AF, " \u0304"},  {0x00B2, "2"},
    {0x00B3, "3"},        {0x00B4, " \u0301"}, {0x00B5, "\u03BC"},   {0x00B8, " \u0327"},
    {0x00B9, "1"},        {0x00BA, "o"},       {0x00BC, "1\u20444"}, {0x00BD, "1\u20442"},
    {0x00BE, "3\u20444"}, {0x0132, "IJ"},      {0x0133, "ij"},       {0x013F, "L\u00B7"},
    {0x0140, "l\u00B7"},  {0x0149, "\u02BCn"}, {0x017F, "s"},        {0x01C4, "D\u017D"},
    {0x01C5, "D\u017E"},  {0x01C6, "d\u017E"}, {0x01C7, "LJ"},       {0x01C8, "Lj"},
    {0x01C9, "lj"},       {0x01CA, "NJ"},      {0x01CB, "Nj"},       {0x01CC, "nj"},
    {0x01F1, "DZ"},       {0x01F2, "Dz"},      {0x01F3, "dz"},       {0x2011, "\u2010"},
    {0x2025, ".."},       {0x2026, "..."},     {0x203C, "!!"},       {0x2070, "0"},
    {0x2071, "i"},        {0x2074, "4"},       {0x2075, "5"},        {0x2076, "6"},
    {0x2077, "7"},        {0x2078, "8"},       {0x2079, "9"},        {0x207A, "+"},
    {0x207B, "\u2212"},   {0x207C, "="},       {0x207D, "("},        {0x207E, ")"},
    {0x207F, "n"},        {0x2080, "0"},       {0x2081, "1"},        {0x2082, "2"},
    {0x2083, "3"},        {0x2084, "4"},       {0x2085, "5"},        {0x2086, "6"},
    {0x2087, "7"},        {0x2088, "8"},       {0x2089, "9"},        {0x208A, "+"},
    {0x208B, "\u2212"},   {0x208C, "="},       {0x208D, "("},        {0x208E, ")"},
    {0x2103, "\u00B0C"},  {0x2109, "\u00B0F"}, {0x2116, "No"},       {0x2120, "SM"},
    {0x2122, "TM"},       {0x2126, "\u03A9"},  {0x212A, "K"},        {0x212B, "\u00C5"},
    {0xFB00, "ff"},       {0xFB01, "fi"},      {0xFB02, "fl"},       {0xFB03, "ffi"},
    {0xFB04, "ffl"},      {0xFB05, "st"},      {0xFB06, "st"}};

/// The code points of UTF-8 text; nullopt when it is not well-formed.
std::optional<std::u32string> decode(std::string_view text) {
    std::u32string codes;
    for (std::size_t at = 0; at < text.size();) {
        const auto lead = static_cast<unsigned char>(text[at++]);
        const int more = lead < 0x80 ? 0 : lead < 0xC2 ? -1 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        if (more < 0 || lead > 0xF4 || text.size() - at < static_cast<std::size_t>(more)) {
            return std::nullopt;
        }
        char32_t code = more == 0 ? lead : lead & (0x3Fu >> more);
        for (int i = 0; i < more; ++i) {
            const auto byte = static_cast<unsigned char>(text[at++]);
            if ((byte & 0xC0u) != 0x80) return std::nullopt;
            code = code << 6 | (byte & 0x3Fu);
        }
        const bool overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
        if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return std::nullopt;
        codes.push_back(code);
    }
    return codes;
}

void encode(std::string& out, char32_t code) {
    const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
    const auto put_tail = [&](int shift) { put(0x80 | (code >> shift & 0x3F)); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0 | code >> 6);
        put_tail(0);
    } else if (code < 0x10000) {
        put(0xE0 | code >> 12);
        put_tail(6);
        put_tail(0);
    } else {
        put(0xF0 | code >> 18);
        put_tail(12);
        put_tail(6);
        put_tail(0);
    }
}

/// RFC 3454, section 6: text with right-to-left letters begins and ends with one, and has no
/// left-to-right ones.
bool directions_mix(const std::u32string& codes) {
    const auto from_right = [](char32_t code) { return is_in(right_to_left, code); };
    const auto from_left = [](char32_t code) { return is_in(left_to_right, code); };
    if (std::ranges::none_of(codes, from_right)) return false;
    return !from_right(codes.front()) || !from_right(codes.back()) ||
           std::ranges::any_of(codes, from_left);
}

bool is_prohibited(char32_t code) {
    const bool ends_plane = (code & 0xFFFE) == 0xFFFE;
    return ends_plane || is_in(prohibited, code) || is_in(unassigned, code);
}

void append_normalized(std::string& out, char32_t code) {
    constexpr char32_t full_width_first = 0xFF01;  // to ASCII's '!'
    constexpr char32_t full_width_last = 0xFF5E;   // to ASCII's '~'
    if (code >= full_width_first && code <= full_width_last) {
        out.push_back(static_cast<char>(code - full_width_first + '!'));
        return;
    }
    const auto* spelling = std::ranges::find(spellings, code, &Spelling::code);
    if (spelling == std::ranges::end(spellings)) return encode(out, code);
    out.append(spelling->text);
}

}  // namespace

std::string saslprep(std::string_view password) {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    std::string typed(password);
    if (std::ranges::all_of(password, is_ascii)) return typed;

    std::optional<std::u32string> codes = decode(password);
    if (!codes) return typed;
    for (char32_t& code : *codes) {
        if (is_in(spaces, code)) code = ' ';
    }
    std::erase_if(*codes, [](char32_t code) { return is_in(invisible, code); });

    // Checked before normalisation, where RFC 4013 says after: PostgreSQL does it in this order.
    if (codes->empty() || std::ranges::any_of(*codes, is_prohibited) || directions_mix(*codes)) {
        return typed;
    }
    std::string prepared;
    for (const char32_t code : *codes) append_normalized(prepared, code);
    return prepared;
}

}  // namespace pgweir::protocol
