extension JSONNode {
    /// All strings at and below this value, keys included, in the order of the text. Needs no recursion.
    package var strings: Strings {
        Strings(storage: storage, at: index, end: Int(storage.nodes[index].next))
    }

    package struct Strings: Sequence, IteratorProtocol, Sendable {
        let storage: JSONStorage
        var at: Int
        let end: Int

        package mutating func next() -> JSONNode? {
            while at < end {
                defer { at += 1 }
                if storage.nodes[at].kind == .string { return JSONNode(storage: storage, index: at) }
            }
            return nil
        }
    }
}
