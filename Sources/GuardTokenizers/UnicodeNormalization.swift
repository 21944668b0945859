/// Unicode normalization forms, with the tables that Hugging Face tokenizers has.
enum UnicodeNormalization {
    enum Form: String, Sendable, Hashable {
        case nfc = "NFC"
        case nfd = "NFD"
        case nfkc = "NFKC"
        case nfkd = "NFKD"

        fileprivate var isCompatible: Bool { self == .nfkc || self == .nfkd }
        fileprivate var composes: Bool { self == .nfc || self == .nfkc }
    }

    /// Whether a form of the text may differ from it. ASCII never does; characters below U+0300 are their own form C,
    /// whatever follows below it.
    static func mayChange(_ text: UnsafeBufferPointer<UInt8>, _ form: Form = .nfc) -> Bool {
        let first: UInt8 = form == .nfc ? 0xCC : 0x80
        return text.contains { $0 >= first }
    }

    private struct Item {
        var scalar: UInt32
        var range: Range<Int>
        var combiningClass: UInt8
        /// Whether it comes from a decomposition and is not its first scalar.
        var isExtra = false
    }

    static func apply(_ form: Form, _ text: AlignedText) -> AlignedText {
        let tables = UnicodeTables.shared
        var result = AlignedText(from: text)
        var items: [Item] = []
        // What lies between two scalars that join with nothing before them is normalized on its own.
        func flush() {
            reorder(&items)
            if form.composes { compose(&items, tables) }
            for item in items { result.append(scalar: item.scalar, for: item.range, of: text) }
            items.removeAll(keepingCapacity: true)
        }
        UTF8Scalars.forEach(text.bytes) { scalar, range in
            if scalar == UTF8Scalars.illFormed || scalar < 0x80 {
                flush()
                // An ASCII letter may join with a mark behind it.
                if scalar < 0x80 {
                    items.append(Item(scalar: scalar, range: range, combiningClass: 0))
                } else {
                    result.append(copying: range, of: text)
                }
                return
            }
            var isExtra = false
            decompose(scalar, form, tables) { part in
                if !tables.mayJoinBackward(part) { flush() }
                items.append(
                    Item(scalar: part, range: range, combiningClass: tables.combiningClass[part], isExtra: isExtra))
                isExtra = true
            }
        }
        flush()
        return result
    }

    static func nfc(_ text: [UInt8]) -> [UInt8] { apply(.nfc, AlignedText(text)).bytes }

    private static func decompose(_ scalar: UInt32, _ form: Form, _ tables: UnicodeTables, _ body: (UInt32) -> Void) {
        if (0xAC00...0xD7A3).contains(scalar) {
            let index = scalar - 0xAC00
            body(0x1100 + index / 588)
            body(0x1161 + index % 588 / 28)
            if index % 28 != 0 { body(0x11A7 + index % 28) }
        } else if form.isCompatible, let parts = tables.compatible[scalar] {
            for part in parts { body(part) }
        } else if let parts = tables.canonical[scalar] {
            for part in parts { body(part) }
        } else {
            body(scalar)
        }
    }

    /// Canonical order: runs of marks by class, equal ones as they were.
    private static func reorder(_ items: inout [Item]) {
        var at = 0
        while at < items.count {
            guard items[at].combiningClass != 0 else {
                at += 1
                continue
            }
            var end = at + 1
            while end < items.count && items[end].combiningClass != 0 { end += 1 }
            if end - at > 1 {
                // `sort` is not promised to be stable; the index decides among equals.
                let sorted = items[at..<end].enumerated().sorted {
                    ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
                }
                place(sorted.map(\.element), &items, at..<end)
            }
            at = end
        }
    }

    /// Puts reordered marks in. Places stay in the order of the text, as in Hugging Face.
    private static func place(_ sorted: [Item], _ items: inout [Item], _ run: Range<Int>) {
        var places = items[run].filter { !$0.isExtra }.map(\.range)[...]
        for (index, item) in zip(run, sorted) {
            items[index] = item
            if !item.isExtra, let place = places.popFirst() {
                items[index].range = place
            } else if index > 0 {
                items[index].range = items[index - 1].range
            }
        }
    }

    private static func compose(_ items: inout [Item], _ tables: UnicodeTables) {
        var result: [Item] = []
        result.reserveCapacity(items.count)
        var starter: Int?
        var lastClass: UInt8 = 0
        for item in items {
            if let at = starter, at == result.count - 1 || lastClass < item.combiningClass && lastClass != 0,
                let composite = composition(result[at].scalar, item.scalar, tables)
            {
                // The place stays that of the first, as in Hugging Face.
                result[at].scalar = composite
                continue
            }
            if item.combiningClass == 0 { starter = result.count }
            lastClass = item.combiningClass
            result.append(item)
        }
        items = result
    }

    private static func composition(_ first: UInt32, _ second: UInt32, _ tables: UnicodeTables) -> UInt32? {
        if (0x1100...0x1112).contains(first), (0x1161...0x1175).contains(second) {
            return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
        }
        if (0xAC00...0xD7A3).contains(first), (first - 0xAC00) % 28 == 0, (0x11A8...0x11C2).contains(second) {
            return first + second - 0x11A7
        }
        return tables.composition(first, second)
    }
}
