extension JSONEdit {
    /// Adds a member at the end of an object. At most one such edit for an object that is empty.
    /// - Parameter value: JSON.
    package static func inserting(_ key: String, value: [UInt8], into object: JSONNode) -> JSONEdit {
        var text: [UInt8] = []
        var at = object.byteRange.lowerBound + 1
        for (_, last) in object.members { at = last.byteRange.upperBound }
        if at > object.byteRange.lowerBound + 1 { text.append(UInt8(ascii: ",")) }
        text.append(UInt8(ascii: "\""))
        JSONEscape.append(key.utf8, to: &text)
        text.append(contentsOf: "\":".utf8)
        return JSONEdit(range: at..<at, replacement: text + value)
    }

    /// Replaces a whole value.
    package static func replacing(_ node: JSONNode, with json: [UInt8]) -> JSONEdit {
        JSONEdit(range: node.byteRange, replacement: json)
    }

    /// Removes elements of an array, commas included.
    package static func removing(_ positions: Set<Int>, from array: JSONNode) -> [JSONEdit] {
        var edits: [JSONEdit] = []
        var position = 0
        // End of the last element that stays; start of the run that goes.
        var keptEnd: Int?
        var runStart: Int?
        var runEnd = 0
        for element in array.elements {
            let range = element.byteRange
            if positions.contains(position) {
                if runStart == nil { runStart = keptEnd ?? range.lowerBound }
                runEnd = range.upperBound
            } else {
                if let start = runStart {
                    // A run at the front takes the comma behind it, others the comma before them.
                    edits.append(
                        JSONEdit(range: start..<(keptEnd == nil ? range.lowerBound : runEnd), replacement: []))
                    runStart = nil
                }
                keptEnd = range.upperBound
            }
            position += 1
        }
        if let start = runStart { edits.append(JSONEdit(range: start..<runEnd, replacement: [])) }
        return edits
    }
}
