"""Attacks, selection, training and robust accuracy for the user's networks and data; docs/library.md shows each in use.

checks      refuses unsuitable images, labels, mean and std, in one line
network     converts any ``nn.Module`` to the form that the rest of the package needs
attacks     pgd(net, x, y) and other attacks
own_attacks checks attacks of the user's, and the radii of all attacks
data        converts tensors, a Dataset or a folder of images to the form that the loop needs
evaluate    robust accuracy under several attacks
select      weighted subsets, chosen once, or every few epochs within the user's own loop
train       the training loop of the papers for any network
"""
