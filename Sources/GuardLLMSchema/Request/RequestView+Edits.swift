package import GuardCore
package import GuardJSON

extension RequestView {
    package struct Mask: Sendable {
        /// Bytes of the segment's text.
        package var range: ByteRange
        package var replacement: [UInt8]

        package init(range: ByteRange, replacement: [UInt8]) {
            self.range = range
            self.replacement = replacement
        }
    }

    /// The edits of the body that put `replacement` (plain text, escaped here) in the place of `range` of a segment's
    /// text, widened to whole scalars and escapes.
    package func edits(masking segment: Int, range: ByteRange, with replacement: [UInt8]) -> [JSONEdit] {
        edits(masking: segment, [Mask(range: range, replacement: replacement)])
    }

    /// The same for several masks of one segment, which do not overlap: one pass over its text. A mask over several
    /// pieces puts its text into the first and empties its part of the others; what a template puts between pieces
    /// stays.
    package func edits(masking segment: Int, _ masks: [Mask]) -> [JSONEdit] {
        guard segments.indices.contains(segment) else { return [] }
        var edits: [JSONEdit] = []
        var written: Set<Int> = []
        for piece in segments[segment].pieces {
            let own = masks.indices.filter { masks[$0].range.overlaps(piece.text) }
            guard !own.isEmpty else { continue }
            let map = JSONStringMap(body: document.bytes, content: piece.body)
            for index in own {
                let range = masks[index].range.clamped(to: piece.text)
                let inside = range.lowerBound - piece.text.lowerBound..<range.upperBound - piece.text.lowerBound
                let replacement = written.insert(index).inserted ? masks[index].replacement : []
                edits.append(
                    JSONEdit(range: map.bodyRange(of: inside), replacement: JSONEscape.escaped(replacement)))
            }
        }
        return edits
    }

    /// The edits that make the server stop after `tokens` completion tokens an answer. Every limit field of the
    /// request that is higher is lowered, so that it does not matter which one wins; where none has a value, the one
    /// that the server reads is put in.
    package func edits(outputLimit tokens: Int) -> [JSONEdit] {
        let number = Array(String(max(tokens, 0)).utf8)
        var edits: [JSONEdit] = []
        var isSet = false
        for place in outputLimit.places {
            guard let value = place.value else { continue }
            // The field that counts takes the value in either direction: a server default above it is replaced too.
            let counts = place.node.byteRange == countingPlace?.byteRange
            isSet = isSet || counts
            if value > tokens || (counts && value != tokens) { edits.append(.replacing(place.node, with: number)) }
        }
        if isSet { return edits }
        let name = String(outputLimit.field.split(separator: ".").last ?? "")
        if let null = outputLimit.places.first(where: { $0.name == name }) {
            return edits + [.replacing(null.node, with: number)]
        }
        if let container = outputLimit.container {
            return edits + [.inserting(name, value: number, into: container)]
        }
        // `parameters` itself is missing.
        let object = Array("{\"\(name)\":".utf8) + number + Array("}".utf8)
        if let null = outputLimit.nullContainer { return edits + [.replacing(null, with: object)] }
        return edits + [.inserting("parameters", value: object, into: document.root)]
    }

    /// The edits that make a streaming server send its usage. None where the API sends it unasked or the request does
    /// not stream.
    package func edits(includeUsage: Bool) -> [JSONEdit] {
        guard includeUsage, stream, endpoint.shape == .openAI, !self.includeUsage else { return [] }
        let yes = Array("true".utf8)
        guard let options = streamOptions else {
            return [.inserting("stream_options", value: Array(#"{"include_usage":true}"#.utf8), into: document.root)]
        }
        guard options.kind == .object else {
            return [.replacing(options, with: Array(#"{"include_usage":true}"#.utf8))]
        }
        if let value = options["include_usage"] { return [.replacing(value, with: yes)] }
        return [.inserting("include_usage", value: yes, into: options)]
    }

    private var countingPlace: JSONNode? {
        let name = String(outputLimit.field.split(separator: ".").last ?? "")
        return outputLimit.places.first { $0.name == name && $0.value != nil }?.node
    }
}
