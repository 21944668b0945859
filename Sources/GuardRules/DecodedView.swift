package import GuardCore

/// The readings of the `decoded` view: the folded text, and what is left when what is encoded or disguised in it is read
/// as what it stands for, in place, up to two levels deep. Each reading is folded, as the `folded` view is.
/// `docs/rules.md` lists what is taken as encoded.
package enum DecodedView {
    /// Readings of one text beside the folded one, at most.
    package static let readingsMax = 24
    /// Bytes of all readings together, at most, as a multiple of the text's.
    private static let bytesFactor = 16
    /// The same of a text.
    static func bytesMax(of raw: Span<UInt8>) -> Int { raw.count * bytesFactor + 4096 }

    /// One reading; `rawRange` leads its bytes back to the text.
    package struct Reading: Sendable {
        /// Folded.
        package let text: [UInt8]
        fileprivate let steps: [Step]
        /// What made it of the reading before.
        fileprivate let kind: Kind?
        /// Of each step that made it what it changed: ranges of `text`, ascending and apart. None in the folded text.
        let changes: [[ByteRange]]
        /// Where rules look for matches: around what every step changed. Ascending and apart; empty: the steps are too
        /// far from one another to show together what one of them does not show alone.
        package let stretches: [ByteRange]

        /// Shows only words in disguise: leet, signs in place of spaces, letters of each word backwards.
        var isOfWords: Bool { Self.isOfWords(kind) }

        private static func isOfWords(_ kind: Kind?) -> Bool {
            kind == .leet || kind == .words || kind == .wordsBackwards
        }

        /// Of its last step, for figures.
        package var name: String { kind.map { "\($0)" } ?? "folded" }

        fileprivate init(text: [UInt8], steps: [Step], kind: Kind?, changes: [[ByteRange]]) {
            self.text = text
            self.steps = steps
            self.kind = kind
            self.changes = changes
            stretches = ChangedStretches.of(changes, in: text, isOfWords: Self.isOfWords(kind))
        }

        /// Whether a range has or borders something of all that was changed.
        package func isChanged(_ range: ByteRange) -> Bool {
            changes.allSatisfy { ChangedStretches.touch($0, range) }
        }

        /// In another alphabet or order.
        var isTurned: Bool { kind == .alphabet || kind == .backwards || kind == .wordsBackwards }

        package func rawRange(of range: ByteRange) -> ByteRange {
            var range = range
            for step in steps.reversed() {
                switch step {
                case .folded(let view): range = view.rawRange(of: range)
                case .derived(let text): range = text.sourceRange(of: range)
                case .turned(let parts): range = Self.turnedBack(range, parts)
                case .mixed(let parts): range = DecodedView.widened(range, parts)
                }
            }
            return range
        }

        /// A range of which only a part was turned stands for all of what was turned.
        private static func turnedBack(_ range: ByteRange, _ parts: [ByteRange]) -> ByteRange {
            var turned = range
            for part in ChangedStretches.touched(parts, range) where part.overlaps(range) {
                if range.lowerBound >= part.lowerBound, range.upperBound <= part.upperBound {
                    let sum = part.lowerBound + part.upperBound
                    return (sum - range.upperBound)..<(sum - range.lowerBound)
                }
                turned = min(turned.lowerBound, part.lowerBound)..<max(turned.upperBound, part.upperBound)
            }
            return turned
        }
    }

    fileprivate enum Step: Sendable {
        case folded(FoldedView)
        case derived(DerivedText)
        /// Backwards by scalars, in these ranges.
        case turned([ByteRange])
        /// Of a part of one of these ranges all of it is meant.
        case mixed([ByteRange])
    }

    fileprivate enum Kind: Sendable {
        case hidden, encoded, spaced, broken, words, leet, alphabet, backwards, wordsBackwards
    }

    /// What a step begins with: a reading, or the raw text or what was decoded before it is folded.
    private struct Source {
        var steps: [Step] = []
        var changes: [[ByteRange]] = []
        var isFolded = false

        init() {}

        init(_ reading: Reading) {
            steps = reading.steps
            changes = reading.changes
            isFolded = true
        }

        func behind(_ derived: DerivedText) -> Source {
            var source = self
            source.steps.append(.derived(derived))
            source.changes = source.changes.map { $0.map(derived.range(ofSource:)) } + [derived.changes]
            source.isFolded = isFolded && derived.isFolded
            return source
        }
    }

    /// The folded text first.
    ///
    /// - Parameter keepsDistant: those without stretches too, for rules that hold by what stands in several places.
    package static func readings(of raw: Span<UInt8>, keepsDistant: Bool = false) -> [Reading] {
        let folded = FoldedView(raw: raw)
        return [first(folded)] + further(than: folded, of: raw, keepsDistant: keepsDistant) { _ in true }
    }

    /// The folded text as a reading.
    static func first(_ folded: FoldedView) -> Reading {
        Reading(text: folded.text, steps: [.folded(folded)], kind: nil, changes: [])
    }

    /// How a reading is offered: it, whether it is wanted without asking, and what is to be kept if it is.
    private typealias Offer = (_ reading: Reading, _ isWanted: Bool, _ make: () -> Reading) -> Void

    /// All but the folded text itself.
    ///
    /// - Parameters:
    ///   - vocabulary: what words in disguise have to show. `nil`: any words.
    ///   - isWanted: whether a reading is worth having; `rawRange` is not yet known of it. Of others further ones are made
    ///     all the same.
    static func further(
        than folded: FoldedView, of raw: Span<UInt8>, keepsDistant: Bool = false, vocabulary: RuleVocabulary? = nil,
        isWanted: (Reading) -> Bool
    ) -> [Reading] {
        // Of a reading that is not wanted only what is needed to read on.
        var found: [(reading: Reading, isWanted: Bool)] = []
        var distant = 0
        var bytes = 0
        func offer(_ reading: Reading, _ isWantedAnyway: Bool, _ make: () -> Reading) {
            let isDistant = reading.stretches.isEmpty
            guard isDistant ? keepsDistant && distant < readingsMax : found.count - distant < readingsMax,
                bytes + reading.text.count <= bytesMax(of: raw),
                reading.text != folded.text, !found.contains(where: { $0.reading.text == reading.text })
            else { return }
            bytes += reading.text.count
            if isDistant { distant += 1 }
            let isWanted = isWantedAnyway || isWanted(reading)
            found.append((isWanted ? make() : reading, isWanted))
        }
        if !TextDecoder.isVisible(raw) { addInvisible(raw, offer) }
        expand(first(folded), vocabulary, offer)
        // What was found so far may itself be encoded, but no words in disguise; of what that gives nothing is read again.
        for index in found.indices where !found[index].reading.isOfWords && !found[index].reading.steps.isEmpty {
            expand(found[index].reading, vocabulary, offer)
        }
        return found.filter(\.isWanted).map(\.reading)
    }

    /// What is hidden in the raw text, or shown by what only it has.
    private static func addInvisible(_ raw: Span<UInt8>, _ offer: Offer) {
        func add(_ reading: Reading) { offer(reading, false) { reading } }
        let leads = TextDecoder.leads(raw)
        if leads.hasHidden, let hidden = TextDecoder.hidden(raw) {
            add(reading(of: hidden, .hidden, Source()))
            if let inner = TextDecoder.hidden(hidden.text.span) {
                add(reading(of: inner, .hidden, Source().behind(hidden)))
            }
        }
        if leads.hasInvisible, let spaced = TextDecoder.spaced(raw) { add(reading(of: spaced, .words, Source())) }
        if leads.hasTurned, let upright = TextDecoder.upright(raw) {
            let turned = TextDecoder.backwards(upright.text.span)
            var source = Source().behind(upright)
            source.steps.append(.turned([0..<turned.count]))
            source.changes = [[0..<turned.count]]
            add(self.folded(turned, .backwards, source))
        }
    }

    /// The readings that are made of a reading, near what made that one.
    private static func expand(_ reading: Reading, _ vocabulary: RuleVocabulary?, _ offer: Offer) {
        let (text, kind, source) = (reading.text, reading.kind, Source(reading))
        let places = ChangedStretches.near(reading.changes.last, in: text)
        func add(_ reading: Reading) { offer(reading, false) { reading } }
        // Who turns letters or their order does not also disguise words.
        let isTurned = kind == .alphabet || kind == .backwards
        // Where first looks find a chance.
        var (spaced, broken, leet): ([ByteRange], [ByteRange], [ByteRange]) = ([], [], [])
        var encoded: [(place: ByteRange, chances: TextDecoder.Chances)] = []
        var words = TextEdits()
        text.withUnsafeBufferPointer { text in
            for place in places {
                let part = UnsafeBufferPointer(rebasing: text[place])
                TextPlanes(part).read { planes in
                    let chances = TextDecoder.chances(part, planes)
                    if !chances.isEmpty { encoded.append((place, chances)) }
                    if isTurned || kind == .broken { return }
                    if TextDecoder.mayBreakLines(part, planes) { broken.append(place) }
                    if TextDecoder.mayHaveLeet(part, planes, vocabulary) { leet.append(place) }
                    if kind == .spaced { return }
                    if TextDecoder.maySpaceOut(part, planes) { spaced.append(place) }
                    words.append(TextDecoder.words(part, planes, vocabulary), at: place.lowerBound)
                }
            }
        }
        var isAmbiguous = false
        for isSecond in [false, true] where !isSecond && !encoded.isEmpty || isAmbiguous {
            var number = 0
            let decoded = derived(text, encoded.map(\.place)) { part in
                let chances = encoded[number].chances
                number += 1
                let decoded = TextDecoder.decode(part, isSecond: isSecond, chances: chances)
                if decoded?.isAmbiguous == true { isAmbiguous = true }
                return decoded?.text
            }
            if let decoded { addDecoded(decoded, source, add) }
        }
        // Lines are broken in what is encoded, or by themselves.
        if kind == .broken { return }
        if !spaced.isEmpty, let joined = derived(text, spaced, TextDecoder.join) {
            add(self.reading(of: joined, .spaced, source))
        }
        if !broken.isEmpty {
            var edits = TextEdits()
            for place in broken {
                edits.append(TextDecoder.brokenLines(text.span.extracting(place)), at: place.lowerBound)
            }
            edit(text, edits, .broken, source, offer)
        }
        edit(text, words, .words, source, offer)
        if !leet.isEmpty { addLeet(text, leet, source, offer) }
        turn(reading, places, isTurned, vocabulary, add)
    }

    /// Other alphabets and directions.
    private static func turn(
        _ reading: Reading, _ places: [ByteRange], _ isTurned: Bool, _ vocabulary: RuleVocabulary?,
        _ add: (Reading) -> Void
    ) {
        let (text, kind, source) = (reading.text, reading.kind, Source(reading))
        let statistics = LetterStatistics.shared
        let isShort = text.count <= LetterStatistics.shortBytes
        let suspicions = places.map { statistics.suspicion(text.span.extracting($0), isShort: isShort) }
        let shifted = zip(places, suspicions).filter { $1.isShifted }.map(\.0)
        if !shifted.isEmpty, kind != .alphabet {
            func turn(_ read: (Int, Span<UInt8>) -> [UInt8]?) {
                if let turned = lettersTurned(source, text, shifted, read) { add(turned) }
            }
            let best = shifted.map { statistics.alphabets(text.span.extracting($0)) }
            // 13 in any case: what has no words, a key say, looks like no language whichever way it is turned.
            if kind == nil { turn { TextDecoder.turn($1, alphabet: 13) } }
            for rank in 0..<LetterStatistics.alphabetsMax {
                turn {
                    guard best[$0].count > rank, kind != nil || best[$0][rank] != 13 else { return nil }
                    return TextDecoder.turn($1, alphabet: best[$0][rank])
                }
            }
            if !isTurned, kind != .spaced {
                turn { TextDecoder.turnDigits($1) }
                turn { TextDecoder.turnSigns($1) }
            }
        }
        if kind == .backwards { return }
        let reversed = zip(places, suspicions).filter { $1.isReversed || $1.isShifted && kind == nil }.map(\.0)
        if !reversed.isEmpty { add(turned(source, text, reversed)) }
        if !isTurned {
            let places = zip(places, suspicions).filter { $1.isReversed }.map(\.0)
            if let mixed = wordsTurned(source, text, places, vocabulary) { add(mixed) }
        }
    }

    /// `text` with what `decode` makes of some of its parts. `nil`: nothing.
    private static func derived(
        _ text: [UInt8], _ parts: [ByteRange], _ decode: (Span<UInt8>) -> DerivedText?
    ) -> DerivedText? {
        let text = text.span
        if parts.count == 1, parts[0].count == text.count { return decode(text) }
        var out: DerivedText?
        var kept = 0
        for part in parts {
            guard let decoded = decode(text.extracting(part)) else { continue }
            var made = out.take() ?? DerivedText()
            made.keep(text, kept..<part.lowerBound)
            made.append(decoded)
            kept = part.upperBound
            out = made
        }
        out?.keep(text, kept..<text.count)
        return out
    }

    /// The text with edits.
    private static func edit(
        _ text: [UInt8], _ edits: TextEdits, _ kind: Kind, _ source: Source, _ offer: Offer
    ) {
        if edits.isEmpty { return }
        let read = edits.read(text)
        edit(text, edits, read.text, read.changes, kind, source, offer)
    }

    /// - Parameters:
    ///   - read: what edits make of the text.
    ///   - changes: those in `read` that count.
    private static func edit(
        _ text: [UInt8], _ edits: TextEdits, _ read: [UInt8], _ changes: [ByteRange], _ kind: Kind, _ source: Source,
        _ offer: Offer
    ) {
        let make = {
            var derived = edits.derived(of: text.span)
            derived.keepChanges(changes)
            return reading(of: derived, kind, source)
        }
        guard source.changes.isEmpty, edits.keepsFold(of: text) else {
            let made = make()
            return offer(made, false) { made }
        }
        // The way back is made when it is needed. What may be encoded over several lines is read on.
        let readsOn = kind == .broken && !TextDecoder.chances(read.span).isEmpty
        offer(Reading(text: read, steps: [], kind: kind, changes: [changes]), readsOn, make)
    }

    /// Each way to read leet, judged where it differs from the ways before it.
    private static func addLeet(
        _ text: [UInt8], _ places: [ByteRange], _ source: Source, _ offer: Offer
    ) {
        let ways = places.map { place in
            text.withUnsafeBufferPointer { TextDecoder.leet(UnsafeBufferPointer(rebasing: $0[place])) }
        }
        var earlier: [(text: [UInt8], changes: [ByteRange])] = []
        for way in 0..<(ways.map(\.count).max() ?? 0) {
            var edits = TextEdits()
            for (place, ways) in zip(places, ways) {
                if let own = way < ways.count ? ways[way] : ways.first { edits.append(own, at: place.lowerBound) }
            }
            let read = edits.read(text)
            let changes = TextEdits.changes(of: read, unlike: earlier)
            earlier.append(read)
            if !changes.isEmpty { edit(text, edits, read.text, changes, .leet, source, offer) }
        }
    }

    /// What was decoded, and what is hidden in it, which its fold would drop.
    private static func addDecoded(_ derived: DerivedText, _ source: Source, _ add: (Reading) -> Void) {
        add(reading(of: derived, .encoded, source))
        guard let hidden = TextDecoder.hidden(derived.text.span) else { return }
        var decoded = source.behind(derived)
        decoded.isFolded = false
        add(reading(of: hidden, .hidden, decoded))
    }

    private static func reading(of derived: DerivedText, _ kind: Kind, _ source: Source) -> Reading {
        let made = source.behind(derived)
        if made.isFolded { return Reading(text: derived.text, steps: made.steps, kind: kind, changes: made.changes) }
        return folded(derived.text, kind, made)
    }

    private static func folded(_ text: [UInt8], _ kind: Kind, _ source: Source) -> Reading {
        let folded = FoldedView(raw: text)
        let changes = source.changes.map { ranges in
            ranges.map { folded.foldedOffset(ofRaw: $0.lowerBound)..<folded.foldedOffset(ofRaw: $0.upperBound) }
        }
        return Reading(text: folded.text, steps: source.steps + [.folded(folded)], kind: kind, changes: changes)
    }

    /// Parts of the text in another alphabet; every byte keeps its place. `nil`: `read` gives none.
    ///
    /// - Parameter read: by the number of the part.
    private static func lettersTurned(
        _ source: Source, _ text: [UInt8], _ parts: [ByteRange], _ read: (Int, Span<UInt8>) -> [UInt8]?
    ) -> Reading? {
        var turned: [UInt8] = []
        var changes: [ByteRange] = []
        for (number, part) in parts.enumerated() {
            guard let own = read(number, text.span.extracting(part)) else { continue }
            if own.count == text.count {
                turned = own
            } else {
                if turned.isEmpty { turned = text }
                turned.replaceSubrange(part, with: own)
            }
            changes.append(part)
        }
        if changes.isEmpty { return nil }
        return Reading(text: turned, steps: source.steps, kind: .alphabet, changes: source.changes + [changes])
    }

    /// Parts of the text backwards by scalars.
    private static func turned(_ source: Source, _ text: [UInt8], _ parts: [ByteRange]) -> Reading {
        var turned: [UInt8] = []
        turned.reserveCapacity(text.count)
        for part in parts {
            turned.append(contentsOf: text[turned.count..<part.lowerBound])
            turned.append(contentsOf: TextDecoder.backwards(text.span.extracting(part)))
        }
        turned.append(contentsOf: text[turned.count...])
        let changes = source.changes.map { ranges in
            ranges.flatMap { range in
                ChangedStretches.touched(parts, range).map { part in
                    let (low, high) = (max(range.lowerBound, part.lowerBound), min(range.upperBound, part.upperBound))
                    return (part.lowerBound + part.upperBound - high)..<(part.lowerBound + part.upperBound - low)
                }
            }.sorted { $0.lowerBound < $1.lowerBound }
        }
        return Reading(
            text: turned, steps: source.steps + [.turned(parts)], kind: .backwards, changes: changes + [parts])
    }

    /// The words of parts of the text backwards.
    private static func wordsTurned(
        _ source: Source, _ text: [UInt8], _ parts: [ByteRange], _ vocabulary: RuleVocabulary?
    ) -> Reading? {
        var turned = text
        var words: [ByteRange] = []
        for part in parts {
            guard let own = TextDecoder.wordsBackwards(text.span.extracting(part), vocabulary: vocabulary) else {
                continue
            }
            turned.replaceSubrange(part, with: own.text)
            words += own.words.map { $0.lowerBound + part.lowerBound..<$0.upperBound + part.lowerBound }
        }
        if words.isEmpty { return nil }
        var source = source
        source.steps.append(.mixed(words))
        source.changes = source.changes.map { $0.map { widened($0, words) } } + [words]
        if TextDecoder.isASCII(turned.span) {
            return Reading(text: turned, steps: source.steps, kind: .wordsBackwards, changes: source.changes)
        }
        // A mark may stand before its letter now.
        return folded(turned, .wordsBackwards, source)
    }

    /// A range, and all of those of `parts` that it has a byte of.
    private static func widened(_ range: ByteRange, _ parts: [ByteRange]) -> ByteRange {
        if range.isEmpty { return range }
        return ChangedStretches.touched(parts, range).reduce(range) { widened, part in
            part.overlaps(range)
                ? min(widened.lowerBound, part.lowerBound)..<max(widened.upperBound, part.upperBound) : widened
        }
    }
}
