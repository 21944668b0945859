/// Number of tokens of a text that grows piece by piece (a stream's completion tokens): at every moment what a fresh
/// `count` of the whole gives. Only what lies behind the last safe cut is kept and encoded again.
///
/// Where the pipeline allows no cut (a regular expression of its own, Unigram without pre-tokenizer), or where no place
/// comes up (a hundred thousand equal letters), the count is still right and costs as much as a fresh one.
package struct GrowingCount: Sendable {
    private let tokenizer: Tokenizer
    private let rules: CutRules
    private let specials: SpecialTokens
    private var settled = 0
    private var settledBytes = 0
    private var pending: [UInt8] = []
    private var isFirst = true
    /// Length of `pending` at which a cut is looked for.
    private var nextLook = GrowingCount.lookBytes
    private var known: Int?

    private static let lookBytes = 128

    /// - Parameter specials: what special tokens' strings in the text become, as in `Tokenizer.count`.
    package init(_ tokenizer: Tokenizer, specials: SpecialTokens = .parse) {
        self.tokenizer = tokenizer
        self.specials = specials
        rules = tokenizer.cutRules
    }

    /// Bytes that are encoded again with every piece.
    package var pendingBytes: Int { pending.count }

    /// Tokens that the text has whatever follows.
    var leastCount: Int { settled }

    /// Appends what `text`, which begins with all that was appended so far, has more.
    package mutating func extend(to text: [UInt8]) {
        guard text.count > settledBytes + pending.count else { return }
        append(Array(text[(settledBytes + pending.count)...]))
    }

    package mutating func append(_ text: [UInt8]) {
        guard !text.isEmpty else { return }
        pending += text
        known = nil
        if pending.count >= nextLook { settle() }
    }

    /// `tokenizer.count(allText, specials: specials, addSpecialTokens: false)`.
    package var count: Int {
        mutating get {
            if let known { return known }
            let count = settled + pendingCount(pending)
            known = count
            return count
        }
    }

    private func pendingCount(_ text: [UInt8]) -> Int {
        isFirst
            ? tokenizer.count(text, specials: specials, addSpecialTokens: false)
            : rules.count(text, specials, by: tokenizer)
    }

    private mutating func settle() {
        guard let cut = rules.cut(pending, isFirst: isFirst, specials, by: tokenizer) else {
            nextLook = pending.count * 2
            return
        }
        settled += pendingCount(Array(pending[..<cut]))
        settledBytes += cut
        pending.removeFirst(cut)
        isFirst = false
        nextLook = pending.count + Self.lookBytes
    }
}
