import GuardCore

extension BytePairModel {
    /// Ids of one piece with the bytes that they stand for, found again in the text: merging itself keeps no places.
    ///
    /// A token of a single byte of a character has that byte; characters that have no token at all have no place.
    func forEachToken(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ scratch: Scratch, _ body: (UInt32, Int, Int) -> Void
    ) {
        var sink = IDSink()
        encode(text, start, end, scratch, &sink)
        let ids = sink.ids.map(\.value)
        var at = start
        for (index, id) in ids.enumerated() {
            var stop = self.stop(of: id, text, at, start, end)
            if stop == nil, id == options.unknown {
                stop = unknownEnd(text, at, start, end, next: index + 1 < ids.count ? ids[index + 1] : nil)
            }
            while stop == nil, at < end {
                at += UnicodeClasses.length(text, at, end)
                stop = self.stop(of: id, text, at, start, end)
            }
            body(id, at, stop ?? at)
            at = stop ?? at
        }
    }

    /// Where the text of the token ends, if it stands at `at`.
    private func stop(
        of id: UInt32, _ text: UnsafePointer<UInt8>, _ at: Int, _ start: Int, _ end: Int
    ) -> Int? {
        guard at < end else { return nil }
        if let fallback = options.byteFallback, fallback[Int(text[at])] == id { return at + 1 }
        var token = vocabulary.bytes(id)[...]
        if let affixes = options.affixes {
            if at > start, token.starts(with: affixes.prefix) { token = token.dropFirst(affixes.prefix.count) }
            let rest = token.count - affixes.suffix.count
            if rest == end - at, token.suffix(affixes.suffix.count).elementsEqual(affixes.suffix) {
                token = token.prefix(rest)
            }
        }
        guard !token.isEmpty, token.count <= end - at else { return nil }
        return token.elementsEqual(UnsafeBufferPointer(start: text + at, count: token.count)) ? at + token.count : nil
    }

    /// Where an unknown token ends: behind one character, or where the next token begins if unknown ones are fused.
    private func unknownEnd(
        _ text: UnsafePointer<UInt8>, _ at: Int, _ start: Int, _ end: Int, next: UInt32?
    ) -> Int? {
        guard at < end else { return nil }
        var stop = at + (options.startsWithCharacters ? UnicodeClasses.length(text, at, end) : 1)
        guard options.fusesUnknown else { return stop }
        while stop < end {
            if let next, self.stop(of: next, text, stop, start, end) != nil { break }
            stop += options.startsWithCharacters ? UnicodeClasses.length(text, stop, end) : 1
        }
        return stop
    }
}
